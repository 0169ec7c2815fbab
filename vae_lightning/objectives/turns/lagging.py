"""Segments and Aggressive: training that lets the encoder catch up, so that it does not lag behind the decoder."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective
from vae_lightning.objectives.turns.alternating import trained_part


class Wrapped(Objective):
    """An objective that trains parts of the model in turns; `at(step)` says whose turn it is."""

    def __init__(self, objective: Objective) -> None:
        check_kinds(Wrapped, locals())
        super().__init__()
        self.objective = objective

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The objective's own value, (B,), with a gradient for all; ValueError where it differs by step."""
        return self.objective(model, x)

    def check(self, model: LatentVariableModel) -> None:
        """As the objective has it."""
        self.objective.check(model)

    def check_run(self, num_steps: float) -> None:
        """As the objective has it."""
        self.objective.check_run(num_steps)


class Segments(Wrapped):
    """A run of `steps` steps in R equal segments, in each first the encoder alone and then everything together.

    Lagging inference networks as the LiBI paper has them. The turn is a function of the step, so a resumed run needs no
    state; R segments that do not divide the steps differ by one step. The parameters that rest get no gradient.
    ValueError unless 1 <= R <= steps / 2 and 0 < alone < 1; when training starts, for a run shorter than `steps`.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), appendix E, where R is 5 to 90 for 30,000 steps; the share `alone` is not told there.

    Args:
        objective: what both maximise, such as the ELBO.
        steps: optimizer steps of the run.
        segments: R.
        alone: the share of a segment that trains the encoder alone.

    Examples:
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.objectives import AnalyticELBO, Segments
        >>> objective = Segments(AnalyticELBO(Reparameterised()), steps=100, segments=2)
        >>> [objective.is_alone(step) for step in (0, 25, 50, 75)]  # the encoder, in the first half of each segment
        [True, False, True, False]
    """

    def __init__(self, objective: Objective, steps: int, segments: int, alone: float = 0.5) -> None:
        check_kinds(Segments, locals())
        super().__init__(objective)
        if not 1 <= segments <= steps / 2:
            raise ValueError(f"segments is R, from 1 to half the {steps} steps, for each has two parts; got {segments}")
        if not 0 < alone < 1:
            raise ValueError(f"alone is the share of a segment that trains the encoder alone, 0 to 1; got {alone}")
        self.steps, self.segments, self.alone = steps, segments, alone

    def at(self, step: int) -> Objective:
        """The objective of this step, with a gradient for the encoder alone or for all."""
        now = self.objective.at(step)
        return trained_part(now, "encoder") if self.is_alone(step) else now

    def is_alone(self, step: int) -> bool:
        """Whether this step trains the encoder alone; after the last segment none does."""
        number = step * self.segments // self.steps
        first, following = (-(-k * self.steps // self.segments) for k in (number, number + 1))
        last_alone = first + max(1, round(self.alone * (following - first)))
        return number < self.segments and step < min(last_alone, following - 1)

    def check_run(self, num_steps: float) -> None:
        """Also that the run holds all segments."""
        super().check_run(num_steps)
        if num_steps < self.steps:
            raise ValueError(
                f"Segments divides {self.steps} steps but the run has only {num_steps:.0f}: set its steps to the run's"
            )


class Aggressive(Wrapped):
    """The encoder to convergence before each step of the decoder, until the codes' information stops growing.

    Lagging inference networks as they were proposed. While aggressive, the encoder trains alone until the mean of the
    objective over `window` steps is no better than over the window before, at most `most` steps; then the decoder and
    the prior have one step, and again. When I_q(x; z) on the validation data falls for the first time it is over, and
    all train together. What decides is not a function of the step: it is kept in buffers, so that a resumed run goes
    on as it was. The callback `callbacks.AggressiveInference` tells losses and information; without it nothing changes.
    One model at a time: in an ensemble all members would have their turns together. One process.
    ValueError unless 1 <= window <= most, and in an ensemble.

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
        self.register_buffer("aggressive", torch.tensor(True))
        self.register_buffer("inner", torch.tensor(0))  # steps of the encoder since the decoder's last; -1: its turn
        self.register_buffer("total", torch.tensor(0.0, dtype=torch.float64))  # of the losses in this window
        self.register_buffer("before", torch.tensor(torch.inf, dtype=torch.float64))  # the mean of the last window
        self.register_buffer("information", torch.tensor(-torch.inf, dtype=torch.float64))

    def at(self, step: int) -> Objective:
        """The objective of this step, with a gradient for whose turn it is."""
        if self.aggressive.ndim:
            raise ValueError("Aggressive decides by the losses of one model: train one at a time, or take Segments")
        now = self.objective.at(step)
        if not self.aggressive:
            return now
        return trained_part(now, "decoder", "prior") if self.inner < 0 else trained_part(now, "encoder")

    def observe_loss(self, loss: Tensor) -> None:
        """The loss of the step just done."""
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
        """I_q(x; z) on the validation data, after an epoch."""
        if nats < self.information:
            self.aggressive.fill_(False)
        self.information.copy_(nats)
