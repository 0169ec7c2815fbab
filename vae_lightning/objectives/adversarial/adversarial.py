"""Adversarial: a generator against a discriminator, both players' losses in one."""

from __future__ import annotations

from math import inf

import torch
from jaxtyping import Float
from torch import Size, Tensor, nn
from torch.func import functional_call

from vae_lightning.conditional import Network, OfFamily
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.distributions import is_bag_of_words, rsample, sample
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.adversarial.fakes import Fakes, NoisyFakes
from vae_lightning.objectives.adversarial.losses import AdversarialLoss, NonSaturating
from vae_lightning.objectives.adversarial.penalties import DiscriminatorPenalty
from vae_lightning.objectives.adversarial.round import Round
from vae_lightning.objectives.base import Objective
from vae_lightning.randomness import Noise


class Adversarial(Objective):
    """A generative adversarial network: the model learns to make samples that a discriminator cannot tell from data.

    Generated observations come from the model's prior and decoder, as many as the batch has rows. The discriminator's
    loss sees them without gradient and so trains the discriminator alone. The generator's loss passes through a
    discriminator whose weights are held, and trains the decoder and a learned prior. So one sum, one backward pass and
    one optimizer train both. The encoder is not trained: `LiBI(generator=Adversarial(...), inference=ForwardKL())` fits
    it to the model's own samples afterwards, `Alternating` in turns. It is no bound on log p(x).

    The discriminator is built for the model that is given this objective, is saved with it as
    `objective.discriminator`, and is used in training alone.

    Figures of training: the means of either loss, `discriminator` and `generator`; `real` and `fake`, those of D(x) and
    D(x~) (of logits, for losses without probabilities); `penalty`, where there is one. Neither loss says how good the
    samples are, and `val/nelbo` is of an encoder that nothing trains, so that `best.ckpt` may not be chosen by it: let
    `best.monitor` be `val/smooth_knn` with the callback `SmoothKNN`, which compares samples with the validation data,
    or for pictures `val/fid` or `val/kernel_distance` with `FrechetInceptionDistance`.
    `callbacks.ExponentialMovingAverage` steadies what is validated, saved and sampled; `callbacks.CollapseWatch` says
    when the samples become all alike.

    Several processes (DDP) need `strategy: ddp_find_unused_parameters_true`, for the encoder rests.
    TypeError for documents, missing entries, and a decoder that the fakes get no gradient of; ValueError for a
    discriminator that does not give one logit per observation, a rate that is not positive, discriminator_steps < 1.

    Source: Goodfellow et al., Generative Adversarial Nets (2014); Heusel et al., GANs Trained by a Two Time-Scale
    Update Rule (2017), for the rates.

    Args:
        discriminator: builds the network x -> one logit, high for what looks real, such as `nn.MLP`;
            `nn.SpectralNorm` holds the norms of its layers.
        loss: what the players minimise: `NonSaturating()` by default, `Hinge()` or `Wasserstein()`.
        penalty: what the discriminator pays for its slope, `R1()` or `GradientPenalty()`; by default the loss's own.
        fakes: what of p(x | z) is shown: `NoisyFakes()` by default, its samples, or `MeanFakes()`, for pictures.
        rate: the discriminator's learning rate as a multiple of the optimizer's.
        discriminator_steps: steps of the discriminator for each of the generator, which rests in the others.

    Examples:
        >>> from functools import partial
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.nn import MLP
        >>> from vae_lightning.objectives import Adversarial
        >>> gan = GaussianVAE(2, Normal(3, 0.1), objective=Adversarial(partial(MLP, hidden=[32])))
        >>> loss, figures = gan.loss((torch.randn(50, 3), torch.zeros(50)), step=0)
        >>> list(figures)
        ['discriminator', 'generator', 'real', 'fake']
        >>> loss.backward()
        >>> all(p.grad is None for p in gan.model.encoder.parameters())
        True
    """

    discriminator: nn.Module | None

    def __init__(
        self,
        discriminator: Network,
        loss: AdversarialLoss | None = None,
        penalty: DiscriminatorPenalty | None = None,
        fakes: Fakes | None = None,
        rate: float = 1.0,
        discriminator_steps: int = 1,
    ) -> None:
        check_kinds(Adversarial, locals())
        super().__init__()
        if not 0 < rate < inf:
            raise ValueError(f"rate multiplies the learning rate for the discriminator: positive, finite; got {rate}")
        if discriminator_steps < 1:
            raise ValueError(
                f"discriminator_steps counts its steps for each of the generator, at least 1; got {discriminator_steps}"
            )
        self.build, self.rate, self.discriminator_steps = discriminator, rate, discriminator_steps
        self.losses, self.fakes, self.noise = loss or NonSaturating(), fakes or NoisyFakes(), Noise()
        self.penalty = penalty or self.losses.penalty()
        self.register_module("discriminator", None)
        self._views = (DiscriminatorAlone(self),)  # in a tuple: it is no part of what it is a view of

    # -- the model -----------------------------------------------------------------------------------------------

    def attach(self, model: LatentVariableModel) -> None:
        """Build the discriminator of the model's observations; ValueError for one that gives them no logits."""
        shape = model.decoder.event_shape
        if self.discriminator is None:
            self.discriminator, self._shape = self.build(shape, 1), shape
            _check_logits(self.discriminator, shape)
        elif shape != self._shape:
            raise ValueError(
                f"the discriminator is of observations {tuple(self._shape)}, the model's are {tuple(shape)}: give each "
                "model an Adversarial of its own"
            )

    def check(self, model: LatentVariableModel) -> None:
        """TypeError for a decoder that cannot be trained by its samples."""
        likelihood, decoder = model.decoder.prototype(), model.decoder
        if isinstance(decoder, OfFamily) and decoder.family.takes_missing:
            raise TypeError(
                "Adversarial compares whole observations, and of those of PartlyObserved entries may be missing: fill "
                "them in and give the family inside of it, or train by ELBO"
            )
        if is_bag_of_words(likelihood):
            raise TypeError("Adversarial trains by samples that carry a gradient, and those of bags of words do not")
        self.fakes.check(likelihood)

    def rates(self) -> list[tuple[nn.Module, float]]:
        """The discriminator's, where it is one of its own."""
        return [] if self.rate == 1 or self.discriminator is None else [(self.discriminator, self.rate)]

    @property
    def fits_encoder(self) -> bool:
        """Never."""
        return False

    # -- the game ------------------------------------------------------------------------------------------------

    def at(self, step: int) -> Objective:
        """Both players, at every `discriminator_steps`-th step; else the discriminator alone."""
        return self if (step + 1) % self.discriminator_steps == 0 else self._views[0]

    def in_turn(self, step: int, turn: int) -> Objective:
        """The same by its own steps: of those of others the discriminator sees nothing."""
        return self.at(turn)

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """Minus what both players lose, (B,)."""
        return -self.play(model, x, generator_learns=True).loss

    def loss_and_figures(self, model: LatentVariableModel, x: Tensor | Counts) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the players' losses, and the figures of the game."""
        played = self.play(model, x, generator_learns=True)
        return played.loss.mean(), played.figures(self.losses)

    # Both players step at once. On a ring of eight Gaussians with R1(0.5) that is as good as two optimizers in turns: 8
    # of 8 modes, a discrepancy of 0.0002, in three seeds. Without a penalty turns are steadier, 8 modes in the worst
    # of three seeds against 6 (benchmarks/adversarial.py, 1,500 and 3,000 steps): so give a penalty.
    def play(self, model: LatentVariableModel, x: Tensor | Counts, generator_learns: bool) -> Round:
        """A round of the game, on a batch and as many generated observations."""
        if not isinstance(x, Tensor):
            raise TypeError("Adversarial compares dense observations, and these are Counts")
        with torch.set_grad_enabled(generator_learns and torch.is_grad_enabled()):
            fake = self.fakes(model.decoder(self._codes(model, len(x))), self.noise)
        seen = fake.detach()
        real_logits, fake_logits = self.logits(x), self.logits(seen)
        return Round(
            real_logits,
            fake_logits,
            self.losses.discriminator(real_logits, fake_logits),
            self.losses.generator(self._held(fake)) if generator_learns else None,
            self.penalty(self.logits, x, seen, self.noise) if self.penalty is not None else None,
        )

    def logits(self, x: Tensor) -> Float[Tensor, " batch"]:
        """The discriminator's logits, high for what looks real; ValueError before it was built for a model."""
        return _logits(self._built()(x))

    def _held(self, x: Tensor) -> Float[Tensor, " batch"]:
        """The same logits, with a gradient for x alone."""
        discriminator = self._built()
        held = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
        return _logits(functional_call(discriminator, held, (x,)))

    def _built(self) -> nn.Module:
        if self.discriminator is None:
            raise ValueError("Adversarial has no discriminator yet: give it to a model, or call attach(model)")
        return self.discriminator

    def _codes(self, model: LatentVariableModel, number: int) -> Tensor:
        """Codes of the prior, with a gradient where it has one."""
        prior = model.prior()
        return (rsample if prior.has_rsample else sample)(prior, number, self.noise)


class DiscriminatorAlone(Objective):
    """An `Adversarial` of which the discriminator alone learns."""

    def __init__(self, game: Adversarial) -> None:
        super().__init__()
        self.game = game

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """Minus what the discriminator loses, (B,)."""
        return -self.game.play(model, x, generator_learns=False).loss

    def loss_and_figures(self, model: LatentVariableModel, x: Tensor | Counts) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminator's loss, and the figures of the game but the generator's."""
        played = self.game.play(model, x, generator_learns=False)
        return played.loss.mean(), played.figures(self.game.losses)


def _logits(output: Tensor) -> Float[Tensor, " batch"]:
    """(B, 1) -> (B,), in single precision or better, as losses and probabilities need it."""
    return output.flatten().to(torch.promote_types(output.dtype, torch.float32))


@torch.no_grad()
def _check_logits(discriminator: nn.Module, shape: Size) -> None:
    """ValueError unless it gives observations of this shape one logit each."""
    like = next(discriminator.parameters(), torch.zeros(()))
    training = discriminator.training
    discriminator.eval()
    try:
        found = discriminator(like.new_zeros(2, *shape))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:150]
        raise ValueError(f"the discriminator does not take observations {tuple(shape)}: {reason}") from error
    finally:
        discriminator.train(training)
    if found.numel() != 2:
        raise ValueError(f"a discriminator gives one logit for each observation, this one {tuple(found.shape)} for 2")
