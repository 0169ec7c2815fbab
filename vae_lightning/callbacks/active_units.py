"""ActiveUnits: how many latent units the encoder uses, and a bar chart of all of them."""

from __future__ import annotations

import lightning.pytorch as pl
from jaxtyping import Float, Float64
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from torch import Tensor

from vae_lightning import metrics
from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.callbacks.gallery import has_gallery, show
from vae_lightning.callbacks.reporting import log_figures, logged_step, silent_tensorboard
from vae_lightning.callbacks.requirements import check_size, require_latent_variable_model, require_mean
from vae_lightning.latent_variable import Draw

LEAST_SHOWN = 0.1  # of the threshold: a logarithmic axis has no place for a variance of zero
MOST_NUMBERED = 20


class ActiveUnits(MetricDiagnostic):
    """Logs `active_units`, how many latent units the encoder uses, and `active_units_fraction`, their share of all.

        A_i = Var_x( E_q(z|x)[z_i] ),     unit i is active if A_i > threshold

    The variance over the split of each unit's posterior mean, unbiased, in squared units of z. A unit that has shrunk
    to the prior has the same mean for every observation: A_i = 0. For bits the mean is a probability, and A_i at most
    1/4. No samples are drawn, so there is no sampling error; another split of N observations would change A_i by about
    sqrt(2 / N) of itself.

    TensorBoard gets a bar chart of all A_i, largest first, on a logarithmic scale from a tenth of the threshold
    (what is less has the shortest bar), and the vector itself in the units' order, as the tensor
    `active_unit_variances`. Reads the evaluation's own posteriors: one number a unit is kept, and nothing is run again;
    the chart takes 0.05 s.

    TypeError at setup for a posterior whose mean is not known in closed form.

    Source: Burda, Grosse, Salakhutdinov, Importance Weighted Autoencoders (2016), Section 5.

    Args:
        threshold: on the variance, in squared units of z.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    metric: metrics.ActiveUnits

    def __init__(self, threshold: float = 0.01, every_n_epochs: int = 50) -> None:
        super().__init__(metrics.ActiveUnits(threshold), every_n_epochs)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, not after it, that there is no mean."""
        require_mean(self, require_latent_variable_model(self, pl_module).encoder.prototype())
        check_size(self, trainer, stage, 2)

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Add the posterior means of the batch."""
        self.metric.update(draw.posterior.mean)

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Log the figures; draw the chart."""
        units = self.metric.units()
        count, variances = units.count.float(), units.variances
        log_figures(module, split, {"active_units": count, "active_units_fraction": count / len(variances)})
        if has_gallery(trainer):
            show(trainer, split, "active_units", bar_chart(variances, self.metric.threshold))
        if writer := silent_tensorboard(trainer):
            writer.add_tensor(f"{split}/active_unit_variances", variances, logged_step(trainer))


def bar_chart(variances: Float[Tensor, " units"] | Float64[Tensor, " units"], threshold: float) -> Figure:
    """A bar a unit, largest first; active ones in blue, with the unit's number below while there is room.

    The axis begins below a tenth of the threshold, or of the largest variance where that is 0.
    """
    ordered, units = variances.cpu().sort(descending=True)
    figure = Figure(figsize=(4.2, 2.9))  # drawn in a quarter of the time with fixed margins, few ticks and plain labels
    figure.subplots_adjust(left=0.22, right=0.98, bottom=0.17, top=0.9)
    axes = figure.add_subplot(yscale="log", ylabel="Var of E[z | x]", xlabel="latent unit")
    axes.yaxis.set_major_locator(LogLocator(numticks=5))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    colors = ["tab:blue" if active else "0.75" for active in ordered > threshold]
    places = range(len(units))
    least = LEAST_SHOWN * (threshold or float(ordered[0]) or 1.0)
    bottom = least / 2
    axes.bar(places, ordered.double().clamp(min=least).numpy() - bottom, bottom=bottom, color=colors, width=0.9)
    if threshold:
        axes.axhline(threshold, color="tab:red", linewidth=1)
    active = int((ordered > threshold).sum())
    axes.set_title(f"{active} of {len(units)} units are active, above {threshold:g}", fontsize=10)
    if len(units) <= MOST_NUMBERED:
        axes.set_xticks(places, [str(unit) for unit in units.tolist()], fontsize=8)
    return figure
