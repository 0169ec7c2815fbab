"""RBM: a harmonium of any two families -> trained by contrastive divergence in closed form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.optim import Optimizer

from vae_lightning.arguments import check_kinds
from vae_lightning.batches import Batch, observations
from vae_lightning.counts import Counts
from vae_lightning.data.protocols import HasTraining, HasValidation, datamodule, observed_shape, vocabulary_size
from vae_lightning.families import ExponentialFamily
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.moments import likelihood_gradient, with_gradient
from vae_lightning.harmonium.negative_phase import ContrastiveDivergence, NegativePhase, evenly
from vae_lightning.harmonium.sparsity import Sparsity
from vae_lightning.hyperparameters import only_plain
from vae_lightning.models.rbm_data import first_look, free_energy_gap
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.randomness import seeded

_LENGTHS = 1000  # documents of evenly spaced lengths that stand for the training documents


def sgd(parameters: Iterable[Any]) -> Optimizer:
    """Stochastic gradient descent at 0.05, the default optimizer."""
    return torch.optim.SGD(parameters, lr=0.05)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A batch x (B, *X), F(x) and -log p(x | h) for an h drawn from p(h | x), (B,) in nats."""

    x: Tensor | Counts
    free_energy: Tensor
    reconstruction: Tensor


class RBM(ReproducibleModule):
    """p(v, h) = exp(-E(v, h)) / Z with -E = log h(v) + log h(h) + <a, T(v)> + <b, S(h)> + T(v)^T W S(h).

    `visible` and `hidden` may be any two families whose product normalises: Bernoulli x Bernoulli is the RBM, Normal
    (scale fixed, or free: its sigma is learned) x Bernoulli the Gaussian-Bernoulli one, Multinomial x Bernoulli that of
    documents (Eq. 15), Categorical x Bernoulli that of choices. Its `model` is a `vae_lightning.harmonium.Harmonium`.

    Gradients are differences of moments, computed without autograd; the visible bias starts at the training data's
    mean. Data outside the visible family's support are a ValueError.

    Figures, in nats per observation: `reconstruction` = -log p(v | h) for h ~ p(h | v); `free_energy` F(v), whose
    constant -log Z is missing; `val/free_energy_gap`, the mean F of validation minus that of 1,024 training data (of
    documents: of pairs of equal length): log Z drops out, and a gap that grows is over-fitting. `train/loss` is the
    mean F of the data minus that of the model's samples (the exact -log p for EnumeratedLikelihood). The
    log-likelihood, and `val/nelbo` for the choice of best.ckpt, come from the callback
    `vae_lightning.callbacks.AnnealedLikelihood`.

    Source: Welling, Rosen-Zvi, Hinton, Exponential Family Harmoniums (2005); Shekhovtsov et al. (2022), Eq. 7.

    Args:
        visible: family of p(v | h); its event shape is that of the data.
        hidden: family of p(h | v), such as `families.Bernoulli(64)`.
        algorithm: where the model's moments come from: `objectives.ContrastiveDivergence` (the default, CD-1),
            `objectives.PersistentContrastiveDivergence` or `objectives.EnumeratedLikelihood`.
        sparsity: keeps hidden bits seldom on, see `objectives.Sparsity`.
        weight_decay: the optimizer's, for W alone.
        scaled_bias: for documents of length l: the hidden bias is l b in place of b (replicated softmax, Salakhutdinov
            and Hinton, 2009). Then hidden_bias stays 0, and the rows of W learn b as what they have in common.
        sampling_steps: Gibbs steps of `sample`.
        optimizer: builds the optimizer from the parameters.
        scheduler: builds a learning-rate scheduler, stepped every epoch; for momentum see
            `callbacks.Momentum`.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import RBM
        >>> rbm = RBM(Bernoulli(6), Bernoulli(4))
        >>> rbm.encode(torch.ones(5, 6)).shape, rbm.sample(3).shape
        (torch.Size([5, 4]), torch.Size([3, 6]))
        >>> rbm.model.log_prob(torch.ones(5, 6)).shape  # exactly, by all codes of four bits
        torch.Size([5])
    """

    figure_names = ("reconstruction", "free_energy")
    totals: Tensor
    independent_bias: Tensor  # the visible bias that fits the training data with W = 0: where annealing starts

    def __init__(
        self,
        visible: ExponentialFamily,
        hidden: ExponentialFamily,
        algorithm: NegativePhase | None = None,
        sparsity: Sparsity | None = None,
        weight_decay: float = 0.0,
        scaled_bias: bool = False,
        sampling_steps: int = 1000,
        optimizer: OptimizerCallable = sgd,
        scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        check_kinds(RBM, locals())
        super().__init__(self.figure_names, optimizer, scheduler)
        self.model = Harmonium(visible, hidden)
        _check(self.model, sparsity, weight_decay, scaled_bias, sampling_steps)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        self.algorithm = algorithm if algorithm is not None else ContrastiveDivergence()
        self.algorithm.attach(self.model)
        self.sparsity, self.weight_decay, self.sampling_steps = sparsity, weight_decay, sampling_steps
        self.model.hidden_bias.requires_grad_(not scaled_bias)
        self.register_buffer("independent_bias", self.model.visible_bias.detach().clone())
        self.register_buffer("totals", torch.ones(_LENGTHS if self.model.has_lengths else 0))

    # -- data ----------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Check that chains stay with their processes."""
        strategy: Any = self.trainer.strategy
        shared = self.algorithm.persistent and self.trainer.world_size > 1 and isinstance(strategy, DDPStrategy)
        if shared and strategy._ddp_kwargs.get("broadcast_buffers", True):
            raise ValueError(
                "each process has chains of its own, which DDP would overwrite: use "
                "DDPStrategy(broadcast_buffers=False), as configs/trainer/ddp.yaml does"
            )
        super().setup(stage)

    @property
    def observed(self) -> ExponentialFamily:
        """The visible side's."""
        return self.model.visible

    def check_data(self, data: object) -> None:
        """ValueError if the data module's observations are of another shape."""
        shape = observed_shape(data) or _vocabulary(data)
        expected = tuple(self.model.visible.event_shape)
        if shape is not None and shape != expected:
            raise ValueError(
                f"the model observes {expected} but the data are {shape}: give model.init_args.visible the "
                "shape of the data"
            )

    @torch.no_grad()
    def start(self, data: object) -> None:
        """Start the visible bias at their mean and the chains where that leads."""
        visible, totals = self.model.visible, None
        if isinstance(data, HasTraining):
            mean, lengths = first_look(visible, data.train)
            self.independent_bias.copy_(visible.fitted(mean.to(self.independent_bias)))
            self.model.visible_bias.copy_(self.independent_bias)
            self.model.shrink()
            if self.model.has_lengths:
                totals = evenly(lengths, _LENGTHS)
                self.totals.copy_(totals)
        with seeded(self.seed, "chains"):
            self.algorithm.start(self.model, totals)

    # -- training ------------------------------------------------------------------------------------------------

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """How far the data's free energy lies above that of the model's samples; its gradient in closed form.

        A function of the batch and the chains, which it moves on.
        """
        return self._with_closed_form(observations(batch), read=True), {
            "reconstruction": self.evaluate(batch, 0).reconstruction.mean()
        }

    def loss_for_gradient(self, batch: Batch, step: int) -> Tensor:
        """The same gradient; the value only tells whether it is finite."""
        return self._with_closed_form(observations(batch), read=False)

    def _with_closed_form(self, x: Tensor | Counts, read: bool) -> Tensor:
        model = self.model
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            model.check()
            phases = self.algorithm(model, x)
            gradient = likelihood_gradient(model, x, phases, self.sparsity)
            value = gradient.visible_bias.sum() + gradient.hidden_bias.sum()
            if read:
                samples = phases.samples
                normaliser = model.log_partition() if samples is None else -model.free_energy(samples).mean()
                value = model.free_energy(x).mean() + normaliser
                if self.sparsity is not None:
                    value += self.sparsity.penalty(phases.hidden)
        return with_gradient(value, gradient, model)

    def not_finite(self, batch: Batch) -> str:
        """Of F and log p(v | h), in how many rows."""
        found = self.evaluate(batch, 0)
        terms = {"F(v)": found.free_energy, "log p(v|h)": found.reconstruction}
        bad = [f"{name} in {int((~v.isfinite()).sum())} of {len(v)} rows" for name, v in terms.items()]
        return "; ".join(bad)

    def configure_optimizers(self) -> Any:
        """The optimizer, with weight decay for W alone, and its scheduler stepped every epoch."""
        trained = [p for p in self.model.parameters() if p.requires_grad and p is not self.model.weight]
        groups: list[dict[str, Any]] = [{"params": [self.model.weight]}, {"params": trained}]
        if self.weight_decay:
            groups[0]["weight_decay"], groups[1]["weight_decay"] = self.weight_decay, 0.0  # AdamW's default is 0.01
        optimizer = self.optimizer(groups)
        if self.weight_decay and "weight_decay" not in optimizer.defaults:
            raise ValueError(f"{type(optimizer).__name__} knows no weight decay: use SGD or Adam, or weight_decay 0")
        return self.scheduled(optimizer)

    # -- evaluation ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, batch: Batch, index: int) -> Evaluated:
        """Free energies and reconstructions, in full precision, the noise a function of (seed, index) alone."""
        x = observations(batch)
        self.model.check()
        with seeded(self.seed, "evaluate", index), torch.autocast(self.device.type, enabled=False):
            h = self.model.hidden.sample(self.model.hidden_natural(x))
            reconstruction = -self.model.visible_given(h).log_prob(x)  # type: ignore[arg-type]  # a bag of words takes Counts
            return Evaluated(x, self.model.free_energy(x), reconstruction)

    def figures(self, draw: Evaluated) -> dict[str, Tensor]:
        """One value per observation, in nats."""
        return {"reconstruction": draw.reconstruction, "free_energy": draw.free_energy}

    @torch.no_grad()
    def on_validation_epoch_end(self) -> None:
        """Log the split's figures, and how they differ from those of the training data."""
        super().on_validation_epoch_end()
        data = datamodule(self.trainer)
        if not isinstance(data, HasTraining) or not isinstance(data, HasValidation):
            return
        mean = self.averages.compute()["free_energy"]
        gap = free_energy_gap(self.model, mean, data.val, data.train, self.device)
        if gap is not None:
            self.log("val/free_energy_gap", gap.float(), sync_dist=True)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor | Counts:
        """N observations by `sampling_steps` of Gibbs sampling, from the persistent chains where there are any.

        Documents have the training documents' lengths, evenly spaced.
        """
        model = self.model
        if model.has_lengths:
            model = model.given(evenly(self.totals, n))
        v = model.visible.sample(model.visible_natural(self.algorithm.starts(model, n)))
        v = model.gibbs(v, self.sampling_steps)
        return Counts.from_dense(v) if model.has_lengths else v

    @torch.no_grad()
    def encode(self, x: Tensor | Counts) -> Bool[Tensor, "rows bits"]:
        """The most probable code of each observation; TypeError where h is not independent bits, given v."""
        if not self.model.hidden.independent_bits:
            raise TypeError(f"codes are hidden bits, use Bernoulli(m) for them; h is {self.model.hidden!r}")
        return self.model.hidden_natural(x) > 0

    def predict_step(self, batch: Batch, batch_idx: int) -> Bool[Tensor, "rows bits"]:
        """Codes."""
        return self.encode(observations(batch))

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """With the chains of every process: the state dict holds the very buffer that they are merged in."""
        self.model.check()
        super().on_save_checkpoint(checkpoint)
        self.algorithm.merge()


def _check(
    model: Harmonium, sparsity: Sparsity | None, weight_decay: float, scaled_bias: bool, sampling_steps: int
) -> None:
    hidden = model.hidden
    if hidden.coupled != slice(0, hidden.num_parameters):
        raise ValueError(
            f"hidden {hidden} has a free variance, which says the same as the scale of W: fix it, as in "
            f"Normal({tuple(hidden.event_shape)}, scale=1.0)"
        )
    if sparsity is not None and not hidden.independent_bits:
        raise TypeError(f"Sparsity is of hidden bits: use hidden Bernoulli(m) with it, not {hidden!r}")
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay must be 0 or more, got {weight_decay}")
    if scaled_bias and not model.has_lengths:
        raise ValueError(f"scaled_bias scales with the length of documents, which {model.visible!r} has not: leave it")
    if sampling_steps < 1:
        raise ValueError(f"sampling_steps must be at least 1, got {sampling_steps}")


def _vocabulary(data: object) -> tuple[int] | None:
    num_words = vocabulary_size(data)
    return None if num_words is None else (num_words,)
