"""AnnealedLikelihood: the log-likelihood of a harmonium, its log Z by annealed importance sampling or exactly."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from jaxtyping import Float64
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.callbacks.reporting import log_figures
from vae_lightning.callbacks.requirements import require_harmonium
from vae_lightning.counts import Counts
from vae_lightning.distributions import SUMMED_BITS
from vae_lightning.harmonium.annealing import LogMean
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.lengths import annealed_through_lengths
from vae_lightning.harmonium.normaliser import is_summed
from vae_lightning.metrics.free_energies import FreeEnergies
from vae_lightning.models.rbm import RBM, Evaluated
from vae_lightning.process import rank_and_size
from vae_lightning.randomness import seeded

_BLOCK = 50  # chains that have a seed of their own: whichever process runs them, they are the same


class AnnealedLikelihood(MetricDiagnostic):
    """Estimates the log-likelihood of an RBM or any other harmonium:

        log p(v) = -F(v) - log Z,     Z by annealed importance sampling (AIS) from W = 0, at the data's mean, to W

    in nats per observation; higher is better. Logs, for each split: `log_likelihood`, its mean, and `nelbo`, its
    negative, by which best.ckpt is chosen; `log_likelihood_error`, the standard error over the data and log Z together;
    `log_partition`, log Z, with `log_partition_error` and `effective_sample_size`, how many of the chains count: near
    1, neither figure nor error can be trusted, and more steps are needed. The estimate of Z is unbiased, so that of
    log Z is too low and the log-likelihood too high on average, less so the more steps. Where one side has at most
    `exact_bits` bits, Z is summed over all of its values, and of two Normals it has a closed form; then the error is
    that of the data alone.

    A model of documents has a Z for each length. log Z is found for each length in the split, and its mean over
    documents is logged. Annealing goes from one length to the next (`harmonium.lengths`), by `steps` lengths beside
    those of the split: all lengths together cost about what the longest costs alone.

    Costs chains x steps Gibbs steps: 100 x 1,000 of 64 x 64 units take half a second on a CPU. Needs a model that is a
    `vae_lightning.harmonium.Harmonium`, as RBM has; TypeError at setup for others. The processes share the chains, and
    find the same figures as one.

    Source: Salakhutdinov and Murray, On the Quantitative Analysis of Deep Belief Networks (2008), Section 4.1.

    Args:
        chains: independent runs of AIS.
        steps: intermediate distributions in `validate` and `test`.
        fit_steps: the same for the validations of `fit`.
        exact_bits: sum exactly over sides of up to so many bits, at most 20.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch.
    """

    def __init__(
        self,
        chains: int = 100,
        steps: int = 5_000,
        fit_steps: int = 500,
        exact_bits: int = 14,
        every_n_epochs: int = 1,
    ) -> None:
        super().__init__(FreeEnergies(), every_n_epochs)
        for name, value, least in (("chains", chains, 2), ("steps", steps, 1), ("fit_steps", fit_steps, 1)):
            if value < least:
                raise ValueError(f"AnnealedLikelihood needs {name} >= {least}, got {value}")
        if not 0 <= exact_bits <= SUMMED_BITS:
            raise ValueError(f"AnnealedLikelihood sums over at most {SUMMED_BITS} bits, got exact_bits={exact_bits}")
        self.chains, self.steps, self.fit_steps, self.exact_bits = chains, steps, fit_steps, exact_bits

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch when the model does not fit."""
        require_harmonium(self, pl_module)

    @torch.no_grad()
    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Evaluated, batch: Batch) -> None:
        """Keep this batch's free energies; the size of anything but a document is 0."""
        x, free_energy = draw.x, draw.free_energy
        total = x.total if isinstance(x, Counts) else x.flatten(1).sum(1)
        self.metric.update(
            free_energy, total if require_harmonium(self, module).has_lengths else torch.zeros_like(free_energy)
        )

    @torch.no_grad()
    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Log; the metric has merged its rows, and the chains are merged here."""
        # torchmetrics makes scalars of the figures of a single observation
        free_energy, size = (each.reshape(-1) for each in self.metric.compute())
        sizes, which = size.unique(return_inverse=True)
        steps = self.fit_steps if trainer.state.fn == "fit" else self.steps
        model = require_harmonium(self, module)
        start = module.independent_bias if isinstance(module, RBM) else None
        log_z = self.log_partition(model.given(sizes.to(model.weight)) if model.has_lengths else model, steps, start)
        value, variance, effective = (
            each.expand(len(sizes))[which] for each in (log_z.value, log_z.stderr**2, log_z.effective_sample_size)
        )
        log_likelihood = -free_energy - value
        # the errors of log Z of several lengths are of the same chains or not: at worst they add up
        log_z_error = variance.sqrt().mean()
        figures = {
            "log_likelihood": log_likelihood.mean(),
            "nelbo": -log_likelihood.mean(),
            "log_likelihood_error": (log_likelihood.var() / len(which) + log_z_error**2).sqrt(),
            "log_partition": value.mean(),
            "log_partition_error": log_z_error,
            "effective_sample_size": effective.min(),
        }
        log_figures(module, split, figures)

    def log_partition(self, model: Harmonium, steps: int, start: Tensor | None = None) -> LogMean:
        """Log Z, (*L) for documents of lengths (*L): exact where that is cheap, else of all processes' chains."""
        if is_summed(model, self.exact_bits):
            exact = model.log_partition().double()
            return LogMean(exact, torch.zeros_like(exact), torch.full_like(exact, self.chains))
        return LogMean.of(self.log_weights(model, steps, start))

    def log_weights(self, model: Harmonium, steps: int, start: Tensor | None) -> Float64[Tensor, "chains *L"]:
        """Block b of the chains on process b mod W, under a seed of its own."""
        rank, world_size = rank_and_size()
        sizes = [len(block) for block in torch.arange(self.chains).split(_BLOCK)]
        mine = []
        for block in range(rank, len(sizes), world_size):
            with seeded(type(self).__name__, "block", block):
                mine.append(annealed(model, sizes[block], steps, start))
        like = model.weight.new_zeros(0, *model.log_partition_shape, dtype=torch.float64)
        found = torch.cat([like, *mine])
        return torch.cat(gather_all_tensors(found)) if world_size > 1 else found


def annealed(model: Harmonium, chains: int, steps: int, start: Tensor | None) -> Float64[Tensor, "chains *L"]:
    """AIS of so many chains: documents by way of shorter ones, others by way of weaker couplings."""
    if model.has_lengths:
        return annealed_through_lengths(model, chains, model.visible.total, steps)  # type: ignore[attr-defined]
    return model.annealed_log_weights(chains, torch.linspace(0, 1, steps + 1), start)
