"""A VAE of documents -> the RBM nearest to it, and an RBM -> the VAE of its two conditionals: is the one the other?"""

from __future__ import annotations

from typing import Any

import torch

from vae_lightning.consistency import harmonium_with
from vae_lightning.consistency.fits import natural_parameters
from vae_lightning.counts import Counts
from vae_lightning.families import Bernoulli, Multinomial
from vae_lightning.metrics.functional.affine_fit import affine_fit
from vae_lightning.models import RBM, HashingVAE
from vae_lightning.randomness import seeded


@torch.no_grad()
def rbm_of(vae: HashingVAE, x: Counts) -> tuple[RBM, float]:
    """The RBM with the VAE's linear decoder whose p(z | l) is nearest to uniform; by how much it misses, nats a word.

    The VAE's posterior is log p(z | x) = z' W^T x - l A(z) + const, A(z) = log sum_k exp(a + W z)_k: that of an RBM if
    A were affine, which it is not (Corollary 2 fails under a fixed prior). A decoder leaves open what every row of W
    has in common, c, since it adds l c'z and changes no p(x | z): c is minus the slope of A, by least squares over
    codes of the encoder for x, and the hidden bias is 0, since p(z) is uniform whatever the length. The second figure
    is the root mean square of what is left of A; times l it is how far the RBM's p(z | l) is from uniform.
    """
    bits = Bernoulli(vae.num_bits)
    model = harmonium_with(vae.model.decoder, bits)
    with seeded("rbm_of"):
        z = bits.sample(natural_parameters(vae.model.encoder, x))
    partition = model.visible_natural(z).double().logsumexp(-1, keepdim=True)
    fit = affine_fit(z, partition)
    model.weight.sub_(fit.weight[0].to(model.weight))
    rbm = RBM(Multinomial(vae.num_words), bits)
    rbm.model.load_state_dict(model.state_dict())
    return rbm, float(fit.residual.mean().sqrt())


@torch.no_grad()
def vae_of(rbm: RBM) -> HashingVAE:
    """The VAE of the RBM's two conditionals, its encoder W^T x + b and decoder W z + a, under a uniform prior.

    With the RBM's own p(z) in place of the uniform one it would be tight (Theorem 1); that depends on the length.
    """
    weight = rbm.model.weight
    vae = HashingVAE(weight.shape[1], weight.shape[0], evaluation_samples=4)
    encoder: Any = vae.model.encoder
    decoder: Any = vae.model.decoder
    encoder.network.weight.copy_(weight)
    encoder.network.bias.copy_(rbm.model.hidden_bias)
    decoder.network.output.weight.copy_(weight)
    decoder.network.output.bias.copy_(rbm.model.visible_bias)
    return vae
