"""Aggressive: training that lets the encoder converge before each step of the decoder, as long as that helps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.objectives.base import Objective
from vae_lightning.objectives.turns.in_turns import InTurns
from vae_lightning.objectives.turns.trained_part import trained_part


class Aggressive(InTurns):
    """The encoder to convergence before each step of the decoder, until the codes' information stops growing.

    The remedy for lagging inference networks as it was proposed. In the aggressive phase the encoder trains alone until
    the mean of the objective over `window` steps is no better than over the window before, for at most `most` steps;
    then the decoder and the prior take one step, and so on. The phase ends when I_q(x; z) on the validation data falls
    for the first time, and all train together. What decides is not a function of the step: it is kept in buffers, so
    that a resumed run goes on as it was. The callback `callbacks.AggressiveInference` tells losses and information to
    the model's own objective, so put this one around any other, such as `FirstThen`, and not within it.
    On a GPU the end of a window waits for the device, and no other step.
    One model at a time: in an ensemble all members would have their turns together. One process.
    ValueError unless 1 <= window <= most, and when training starts where nothing is told: without the callback, within
    another objective, in an ensemble.

    Source: He, Spokoyny, Neubig, Berg-Kirkpatrick, Lagging Inference Networks and Posterior Collapse in Variational
    Autoencoders (2019), Algorithm 1; the window of its code is 15 steps, `most` 100.

    Args:
        objective: what both maximise, such as the ELBO.
        window: steps whose mean is compared.
        most: steps of the encoder for one of the decoder, at most.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import Aggressive, AnalyticELBO
        >>> model, objective = GaussianVAE(2, Bernoulli(6)).model, Aggressive(AnalyticELBO(Reparameterised()))
        >>> objective.at(0)(model, torch.ones(5, 6)).sum().backward()
        >>> all(p.grad is None for p in model.decoder.parameters())  # the encoder's turn
        True
    """

    aggressive: Tensor
    inner: Tensor
    total: Tensor
    before: Tensor
    information: Tensor

    def __init__(self, objective: Objective, window: int = 15, most: int = 100) -> None:
        check_kinds(Aggressive, locals())
        super().__init__(objective)
        if not 1 <= window <= most:
            raise ValueError(f"Aggressive needs 1 <= window <= most, got {window} and {most}")
        self.window, self.most = window, most
        self._is_told = False
        self.register_buffer("aggressive", torch.tensor(True))
        self.register_buffer("inner", torch.tensor(0))  # steps of the encoder since the decoder's last; -1: its turn
        self.register_buffer("total", torch.tensor(0.0, dtype=torch.float64))  # of the losses in this window
        self.register_buffer("before", torch.tensor(torch.inf, dtype=torch.float64))  # the mean of the last window
        self.register_buffer("information", torch.tensor(-torch.inf, dtype=torch.float64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Aggressive:
        """Whose turn it is stays on the CPU, where to ask is not to wait."""
        turn = {name: self._buffers.pop(name) for name in ("aggressive", "inner")}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._buffers = turn | self._buffers  # in the order of before
        return self

    def at(self, step: int) -> Objective:
        """The objective of this step, with a gradient for whose turn it is."""
        if self.aggressive.ndim:
            raise ValueError("Aggressive decides by the losses of one model: train one at a time, or take Segments")
        now = self.objective.at(step)
        if not self.aggressive:
            return now
        return trained_part(now, "decoder", "prior") if self.inner < 0 else trained_part(now, "encoder")

    def check_run(self, num_steps: float) -> None:
        """Also raise ValueError where nobody tells it losses: the encoder's turn would never end."""
        super().check_run(num_steps)
        if self.aggressive.all() and not self._is_told:
            raise ValueError(
                "Aggressive decides by the losses of one model, which the callback AggressiveInference tells its "
                "objective: add that callback, with Aggressive around any other objective; in an ensemble take Segments"
            )

    def listen(self, told: bool = True) -> None:
        """Whether to rely on being told losses and information from now on."""
        self._is_told = told

    def observe_loss(self, loss: Tensor) -> None:
        """Decide by the loss of the step just done whose turn is next."""
        if not self.aggressive:
            return
        if self.inner < 0:  # the decoder had its turn
            self.inner.zero_()
            self.total.zero_()
            self.before.fill_(torch.inf)
            return
        self.inner.add_(1)
        self.total.add_(loss)
        converged = False
        if self.inner % self.window == 0:
            converged = bool(self.total / self.window >= self.before)
            self.before.copy_(self.total / self.window)
            self.total.zero_()
        if converged or self.inner >= self.most:
            self.inner.fill_(-1)

    def observe_information(self, nats: Tensor) -> None:
        """Stop being aggressive if I_q(x; z) on the validation data, in nats, has fallen since the last epoch."""
        if nats < self.information:
            self.aggressive.fill_(False)
        self.information.copy_(nats)
