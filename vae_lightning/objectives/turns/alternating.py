"""Alternating: one objective for the encoder, another for the decoder, in turns."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective
from vae_lightning.objectives.turns.trained_part import trained_part


class Alternating(Objective):
    """Cycles of `encoder_steps` steps that train the encoder alone and `decoder_steps` that train decoder and prior.

    With `decoder=ELBO(...)` and `encoder=ForwardKL()` it is the alternative that Shekhovtsov et al. (2022), Appendix B,
    propose where the encoder's family has the posterior; with the ELBO for both and many encoder steps a decoder step,
    the encoder does not lag behind (He et al. 2019). The parameters that rest get no gradient at all, hence neither
    momentum nor weight decay. The turn is a function of the step, so a resumed run needs no state. `train/loss` is that
    of whose turn it is; `train/nelbo`, where the decoder's objective is the ELBO, that of the decoder's last turn.
    Several processes (DDP) need `strategy: ddp_find_unused_parameters_true`.

    Args:
        decoder: what the decoder and the prior maximise.
        encoder: what the encoder maximises.
        decoder_steps: optimizer steps of the decoder in a cycle, >= 1.
        encoder_steps: optimizer steps of the encoder in a cycle, >= 1; they come first.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import ELBO, Alternating, ForwardKL
        >>> model, objective = GaussianVAE(2, Bernoulli(6)).model, Alternating(ELBO(Reparameterised()), ForwardKL())
        >>> objective.at(0)(model, torch.ones(5, 6)).sum().backward()
        >>> all(p.grad is None for p in model.decoder.parameters())  # the encoder's turn
        True
    """

    def __init__(self, decoder: Objective, encoder: Objective, decoder_steps: int = 1, encoder_steps: int = 1) -> None:
        check_kinds(Alternating, locals())
        super().__init__()
        if min(decoder_steps, encoder_steps) < 1:
            raise ValueError(
                f"Alternating needs decoder_steps and encoder_steps >= 1, got {decoder_steps} and {encoder_steps}; to "
                "train only one of them, use the Freeze callback"
            )
        self.decoder, self.encoder = decoder, encoder
        self.decoder_steps, self.encoder_steps = decoder_steps, encoder_steps

    def at(self, step: int) -> Objective:
        """The objective whose turn it is, with a gradient for its own part of the model alone."""
        cycle, place = divmod(step, self.encoder_steps + self.decoder_steps)
        if place < self.encoder_steps:
            return trained_part(self.encoder.at(step), "encoder")
        turn = cycle * self.decoder_steps + place - self.encoder_steps
        return trained_part(self.decoder.in_turn(step, turn), "decoder", "prior")

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """ValueError: there is no value without a step."""
        raise ValueError("Alternating differs by step: use objective.at(step)(model, x)")

    def check(self, model: LatentVariableModel) -> None:
        """Delegates to both objectives."""
        self.decoder.check(model)
        self.encoder.check(model)

    def check_run(self, num_steps: float) -> None:
        """Delegates to both objectives."""
        self.decoder.check_run(num_steps)
        self.encoder.check_run(num_steps)
