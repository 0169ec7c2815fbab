"""FirstThen: one objective for the first steps of a run, another from then on."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective


class FirstThen(Objective):
    """The first `steps` optimizer steps maximise `first`, all others `then`; both see the run's own count of steps.

    A schedule of the number of samples is that of one objective with few and with many: one pair of ARM, then ten, as
    Shekhovtsov et al. (2022), Appendix C.2, train their Table 2 (1,000 epochs and 500 more). An estimator, a weight or
    a bound may change as well, from the ELBO to IWAE. Which it is is a function of the step, so a resumed run needs no
    state, and goes on exactly on either side of the change. Optimizer and learning rate go on as they are.

    ValueError for steps < 1; when training starts, for a run that ends before `then` is trained.

    Args:
        first: what the first steps maximise.
        then: what the others do; what the model is judged by where objectives are compared.
        steps: optimizer steps of the first; epochs times batches an epoch.

    Examples:
        >>> from vae_lightning.estimators import ARM
        >>> from vae_lightning.objectives import ELBO, FirstThen
        >>> objective = FirstThen(ELBO(ARM()), ELBO(ARM(num_samples=10)), steps=1000)
        >>> [objective.at(step).estimator.num_samples for step in (0, 999, 1000, 5000)]
        [1, 1, 10, 10]
    """

    def __init__(self, first: Objective, then: Objective, steps: int) -> None:
        check_kinds(FirstThen, locals())
        super().__init__()
        if steps < 1:
            raise ValueError(f"FirstThen needs steps >= 1 of the first, got {steps}; for none give `then` itself")
        self.first, self.then, self.steps = first, then, steps

    @property
    def fits_encoder(self) -> bool:
        """Whether the encoder learns by the last one."""
        return self.then.fits_encoder

    def at(self, step: int) -> Objective:
        """The objective of this step."""
        return (self.first if step < self.steps else self.then).at(step)

    def unweighted(self) -> Objective:
        """Delegates to the last one."""
        return self.then.unweighted()

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """ValueError: there is no value without a step."""
        raise ValueError("FirstThen differs by step: use objective.at(step)(model, x)")

    def check(self, model: LatentVariableModel) -> None:
        """Delegates to both."""
        self.first.check(model)
        self.then.check(model)

    def check_run(self, num_steps: float) -> None:
        """ValueError unless the run trains both, and each schedule of the last arrives."""
        if num_steps <= self.steps:
            raise ValueError(
                f"FirstThen changes after {self.steps} steps but the run has only {num_steps:.0f}, which would never "
                "train the second objective: lower its steps, or train longer"
            )
        self.first.check_run(float(self.steps))
        self.then.check_run(num_steps)
