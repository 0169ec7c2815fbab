"""RBM: a harmonium of any two families -> trained by contrastive divergence in closed form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torch.optim import Optimizer

from vae_lightning.batches import Batch, observations
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.protocols import HasTraining, HasValidation, datamodule
from vae_lightning.families import ExponentialFamily
from vae_lightning.gradients import with_gradients
from vae_lightning.harmonium.chains import evenly
from vae_lightning.harmonium.checks import check_learnable
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.moments import contrast, likelihood_gradient
from vae_lightning.harmonium.negative_phase import ContrastiveDivergence
from vae_lightning.harmonium.phase import NegativePhase
from vae_lightning.harmonium.sparsity import Sparsity
from vae_lightning.models.optimizers import check_decay, with_decay
from vae_lightning.models.rbm.answers import HarmoniumAnswers
from vae_lightning.models.rbm.evaluated import Evaluated
from vae_lightning.models.rbm.splits import check_options, check_processes, check_shape, first_look, free_energy_gap
from vae_lightning.randomness import seeded

_LENGTHS = 1000  # documents of evenly spaced lengths that stand for the training documents


def sgd(parameters: Iterable[Any]) -> Optimizer:
    """Stochastic gradient descent at 0.05, the default optimizer."""
    return torch.optim.SGD(parameters, lr=0.05)


class RBM(HarmoniumAnswers):
    """p(v, h) = exp(-E(v, h)) / Z with -E = log h_v(v) + log h_h(h) + <a, T(v)> + <b, S(h)> + T(v)^T W S(h).

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
            `objectives.PersistentContrastiveDivergence`, `objectives.ParallelTempering`,
            `objectives.TemperedTransitions` or `objectives.EnumeratedLikelihood`.
        sparsity: keeps hidden bits seldom on, see `objectives.Sparsity`.
        weight_decay: the optimizer's, for W alone.
        scaled_bias: for documents of length l: the hidden bias is l b in place of b (replicated softmax, Salakhutdinov
            and Hinton, 2009). Then hidden_bias stays 0, and the rows of W learn b as what they have in common.
        sampling_steps: Gibbs steps of `sample`.
        optimizer: builds the optimizer from the parameters.
        scheduler: builds a learning-rate scheduler, stepped every epoch (or step: `models.EveryStep`); for
            momentum see `callbacks.Momentum`.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import RBM
        >>> rbm = RBM(Bernoulli(6), Bernoulli(4))
        >>> rbm.hashes(torch.ones(5, 6)).shape, rbm.sample(3).shape
        (torch.Size([5, 4]), torch.Size([3, 6]))
        >>> rbm.model.log_prob(torch.ones(5, 6)).shape  # exactly, by all codes of four bits
        torch.Size([5])
    """

    figure_names = ("reconstruction", "free_energy")
    totals: Tensor
    independent_bias: Tensor  # the visible bias that fits the training data with W = 0: where annealing starts
    _chains: Tensor | None = None  # that the last loss ended in

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
        check_learnable(hidden)
        check_decay(weight_decay)
        if sparsity is not None:
            sparsity.check(hidden)
        check_options(visible, scaled_bias, sampling_steps)
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
        check_processes(self.trainer, self.algorithm)
        super().setup(stage)

    @property
    def observed(self) -> ExponentialFamily:
        """The visible side's."""
        return self.model.visible

    def check_data(self, data: object) -> None:
        """ValueError if the data module's observations are of another shape."""
        check_shape(self.model.visible, data)

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

        A function of the batch, the weights and the chains, which stay where they are.
        """
        loss, figures, self._chains = self._loss_and_chains(batch, read=True)
        return loss, figures

    def training_loss(self, batch: Batch, step: int, read: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, after which the chains are those that the step ended in; unread, it only tells if it is finite.

        A subclass is trained by its own `loss`, if it has one.
        """
        if type(self).loss is not RBM.loss:
            loss, figures = self.loss(batch, step)
        else:
            loss, figures, self._chains = self._loss_and_chains(batch, read)
        self.algorithm.keep(self._chains)
        self._chains = None
        return loss, figures

    def _loss_and_chains(self, batch: Batch, read: bool) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        x, model = observations(batch), self.model
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            if asks := read or self.device.type == "cpu":  # elsewhere to ask is to wait
                model.check()
            moments, chains = self.algorithm(model, x, self.algorithm.state)
            gradient = likelihood_gradient(model, x, moments, self.sparsity)
            unread = gradient.visible_bias.sum() + gradient.hidden_bias.sum()
            value = contrast(model, x, moments, self.sparsity) if read else unread
            value = value if asks else value + model.nan_unless_normalised()
        figures = {"reconstruction": self.evaluate(batch, 0).reconstruction.mean(), **moments.figures} if read else {}
        return with_gradients(value, gradient, list(model.parameters())), figures, chains

    def not_finite(self, batch: Batch) -> str:
        """In how many rows F and log p(v | h) are not finite."""
        return self.evaluate(batch, 0).not_finite()

    def configure_optimizers(self) -> Any:
        """The optimizer, with weight decay for W alone, and its scheduler."""
        weight = self.model.weight
        others = [p for p in self.model.parameters() if p.requires_grad and p is not weight]
        return self.scheduled(with_decay(self.optimizer, self.weight_decay, [weight], others))

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
        if (gap := free_energy_gap(self.model, mean, data.val, data.train, self.device)) is not None:
            self.log("val/free_energy_gap", gap.float(), sync_dist=True)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give the checkpoint the chains of every process: its state dict has the very buffer they are merged in."""
        self.model.check()
        super().on_save_checkpoint(checkpoint)
        self.algorithm.merge()
