"""CodeLikelihood: log p(x | h(x)) of amortised codes, less what the codes pay for not being draws of the prior."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.latent_variable import ConditionalLike, LatentVariableModel
from vae_lightning.objectives.base import Objective, buffers_kept
from vae_lightning.objectives.constraints.base import Constraint
from vae_lightning.objectives.constraints.penalties import Covariance, HenzeZirkler, Mean
from vae_lightning.randomness import seeded


class CodeLikelihood(Objective):
    """log p(x_n | h(x_n)) - sum of penalties of all codes h(x_1), ..., h(x_N): Eq. 44, step 1 of LiBI.

    Trains the decoder and h together, and no other part of the model. Penalties are of the batch as a whole, each row
    pays them in full, so that the mean over rows is the objective; the batch should be the whole data set.
    h is the mean of a conditional, `codes`, which `LiBI` provides and trains: one of the encoder's architecture.
    ValueError for two penalties or constraints of the same name, by which figures and failures are told.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), Eqs 7 and 44.

    Args:
        penalties: what the codes pay, by default `HenzeZirkler()`, `Covariance()` and `Mean()`.
        constraints: what they pay beside these, such as `InformationFloor`; by default nothing.
        codes: x -> a distribution whose mean is h(x); held, not registered.

    Examples:
        >>> import torch
        >>> from vae_lightning.conditional import Conditional
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.models import LiBI
        >>> from vae_lightning.nn import MLP
        >>> from vae_lightning.objectives import CodeLikelihood, HenzeZirkler
        >>> model = LiBI(1, Normal(3, 0.1)).model
        >>> objective = CodeLikelihood([HenzeZirkler()], codes=Conditional(Normal(1), (3,), MLP))
        >>> objective(model, torch.randn(50, 3)).shape
        torch.Size([50])
    """

    codes: ConditionalLike | None

    def __init__(
        self,
        penalties: Sequence[Constraint] | None = None,
        constraints: Sequence[Constraint] = (),
        codes: ConditionalLike | None = None,
    ) -> None:
        check_kinds(CodeLikelihood, locals())
        super().__init__()
        chosen = [HenzeZirkler(), Covariance(), Mean()] if penalties is None else list(penalties)
        self.penalties, self.constraints = nn.ModuleList(chosen), nn.ModuleList(constraints)
        self._all: list[Constraint] = [*chosen, *constraints]
        names = [each.name for each in self._all]
        if len(set(names)) < len(names):
            raise ValueError(f"penalties and constraints are told apart by their names, each has one; got {names}")
        object.__setattr__(self, "codes", codes)  # not registered: its parameters belong to the module that trains it

    def with_codes(self, codes: ConditionalLike) -> CodeLikelihood:
        """The same objective for these codes."""
        number = len(self.penalties)
        return CodeLikelihood(self._all[:number], self._all[number:], codes)

    def code(self, x: Tensor | Counts) -> Float[Tensor, "n *latent"]:
        """h(x); ValueError without codes."""
        if self.codes is None:
            raise ValueError("CodeLikelihood has no codes: give it to LiBI, or give it codes, x -> distribution")
        return self.codes(x).mean

    def terms(self, model: LatentVariableModel, x: Tensor | Counts) -> tuple[Float[Tensor, " n"], dict[str, Tensor]]:
        """log p(x_n | h(x_n)), and by name what the codes pay."""
        z = self.code(x)
        given: tuple[object, ...] = model, x, z
        paid = {each.name: each(*given[each.takes]) for each in self._all}
        return model.log_likelihood(x, z), paid

    def loss(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, ""]:
        """The mean of -log p(x_n | h(x_n)), and all that the codes pay."""
        log_likelihood, paid = self.terms(model, x)
        return -log_likelihood.mean() + sum(paid.values())

    def loss_and_figures(self, model: LatentVariableModel, x: Tensor | Counts) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and of what it is the sum: `reconstruction`, and by name what the codes pay."""
        log_likelihood, paid = self.terms(model, x)
        reconstruction = -log_likelihood.mean()
        figures = {"reconstruction": reconstruction} | paid
        return reconstruction + sum(paid.values()), {name: value.detach() for name, value in figures.items()}

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " n"]:
        """log p(x_n | h(x_n)) less all that the codes pay, (N,)."""
        log_likelihood, paid = self.terms(model, x)
        return log_likelihood - sum(paid.values(), log_likelihood.new_zeros(()))

    def failures(self, model: LatentVariableModel, x: Tensor | Counts) -> dict[str, str]:
        """The penalties and constraints that these codes fail, by name, with the reason."""
        held = [each for each in (model, self, self.codes) if isinstance(each, nn.Module)]
        with buffers_kept(*held), seeded("failures"):  # what is logged changes nothing that is learnt
            given: tuple[object, ...] = model, x, self.code(x)
            found = {each.name: each.failure(*given[each.takes]) for each in self._all}
        return {name: reason for name, reason in found.items() if reason is not None}
