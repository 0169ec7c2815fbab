"""ELBOSurgery: the rate cut into mutual information and marginal KL, with error bars."""

from __future__ import annotations

import math
from collections.abc import Mapping

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn
from matplotlib.figure import Figure

from vae_lightning import metrics
from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.callbacks.gallery import has_gallery, show
from vae_lightning.callbacks.reporting import occasion
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.latent_variable import Draw
from vae_lightning.metrics.functional.aggregated import CHUNK

SATURATED = math.log(2)


class ELBOSurgery(MetricDiagnostic):
    """Logs `rate`, `mutual_information` and `marginal_kl`, in nats: what a code says and costs; energy and entropy.

        NELBO = reconstruction + rate
        rate = 1/N sum_n KL(q(z | x_n) | p(z))  =  I_q(n; z)          +  KL(q(z) | p(z)),    q(z) = 1/N sum_n q(z | x_n)
                                                   mutual_information    marginal_kl
        NELBO = -(E_q[log p(x, z)] + H[q(z | x)])
                  negative_energy    entropy

    The mutual information says how much a code tells of its observation; the marginal KL how far all codes together
    are from the prior, which spoils samples from the prior and which a better prior lowers. Each has its
    standard error, `..._error`, over the choice of the data and of z together; `reconstruction_error` is that of the
    model's own `reconstruction`. `negative_energy` and `entropy` are the other reading of this ELBO: a q that shrinks
    onto the best code trades entropy for energy. All are averages over the evaluation's own samples of z, so the terms
    add up exactly, and `rate` differs from the model's `kl`, in closed form where there is one, by sampling error only.

    N observations cannot show more mutual information than `log_n`. Within log 2 of it, fewer than two observations
    share a code on average, and a warning says that it is saturated: more data would give more, and the marginal KL
    less. Compare models on the same N. In `fit` TensorBoard gets curves; `validate` and `test` add a picture.

    For Gaussian and Bernoulli posteriors, and every prior. Costs N^2 densities of q in blocks of chunk x chunk, shared
    by the processes: about a second for N = 10,000 codes of 64 units, 25 times that for 50,000; 16 (S + 1) bytes a
    unit and observation are kept. Of a flow each density is an evaluation of it: set a limit. TypeError at setup for
    other posteriors, such as those of two levels.

    Source: Hoffman, Johnson, ELBO Surgery: yet another way to carve up the variational evidence lower bound (2016).

    Args:
        chunk: samples and posteriors of a block; float64, 8 MB for 1024.
        limit: count only the split's first so many observations; null for all.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    metric: metrics.ELBOSurgery

    def __init__(self, chunk: int = CHUNK, limit: int | None = None, every_n_epochs: int = 10) -> None:
        super().__init__(metrics.ELBOSurgery(chunk, limit), every_n_epochs)
        self.terms = metrics.ELBOTerms()
        self._told: set[str] = set()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, not after it, that a posterior cannot be cut."""
        self.metric.expect(require_latent_variable_model(self, pl_module).encoder.prototype())

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Reset both metrics."""
        super().begin(trainer, module)
        self.terms.to(module.device).reset()

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Keep the posteriors and the samples of the batch."""
        self.metric.update(draw.posterior, draw.prior, draw.z)
        self.terms.update(draw.log_likelihood, draw.log_prior, draw.log_posterior)

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Log; the metrics have merged what they keep over processes."""
        figures = {name: float(value) for name, value in self.metric.compute().items()}
        self._tell(trainer, split, figures)
        terms = {name: float(value) for name, value in self.terms.compute().items() if name != "reconstruction"}
        figures |= terms  # the model logs the reconstruction itself
        module.log_dict({f"{split}/{name}": value for name, value in figures.items()}, sync_dist=True)
        if trainer.state.fn != "fit" and has_gallery(trainer):
            show(trainer, split, "elbo_surgery", surgery_picture(figures))

    def _tell(self, trainer: pl.Trainer, split: str, figures: Mapping[str, float]) -> None:
        """Once, when it begins."""
        saturated = is_saturated(figures)
        if saturated and split not in self._told:
            rank_zero_warn(
                f"{occasion(trainer, split)}: the mutual information, "
                f"{figures['mutual_information']:.2f} +- {figures['mutual_information_error']:.2f} nats, is at its cap "
                f"log N = {figures['log_n']:.2f}: the true one may be larger and the marginal KL smaller; evaluate on "
                "more observations"
            )
        (self._told.add if saturated else self._told.discard)(split)


def is_saturated(figures: Mapping[str, float]) -> bool:
    """Whether fewer than two observations share a code: H(n | z) = log N - I < log 2."""
    return figures["log_n"] - figures["mutual_information"] < SATURATED


def surgery_picture(figures: Mapping[str, float]) -> Figure:
    """Mutual information and marginal KL end to end, the rate below them, and the line that the former cannot cross."""
    figure = Figure(figsize=(4.2, 2.8), layout="constrained")
    axes = figure.add_subplot(xlabel="nats")
    bars = {"mutual_information": (1, 0.0, "tab:blue"), "rate": (0, 0.0, "0.6")}
    bars["marginal_kl"] = (1, figures["mutual_information"], "tab:orange")
    for name, (place, left, color) in bars.items():
        value, error = figures[name], figures[f"{name}_error"]
        label = f"{name.replace('_', ' ')} {value:.2f} $\\pm$ {error:.2f}"
        axes.barh(place, value, left=left, xerr=error, color=color, label=label, capsize=3)
    saturated = " (saturated)" if is_saturated(figures) else ""
    axes.axvline(figures["log_n"], color="tab:red", linewidth=1, label=f"log N {figures['log_n']:.2f}{saturated}")
    axes.set_yticks([])
    figure.legend(loc="outside upper left", frameon=False)
    return figure
