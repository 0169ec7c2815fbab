"""CompiledLoss: a model's loss -> the same by torch.compile, while it trains."""

from __future__ import annotations

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn

from vae_lightning.models import Ensemble
from vae_lightning.models.latent_variable import LatentVariableModule, loss_and_read
from vae_lightning.models.recording.execution import compiled, require_compiler
from vae_lightning.objectives import Adversarial


class CompiledLoss(pl.Callback):
    """Trains by the model's loss as `torch.compile` makes it: forward and backward pass in few large kernels.

    The noise is the same, and so are values up to rounding. Checkpoints and how a run goes on are as without it.
    Validation and all diagnostics are not compiled. Each shape of a batch is compiled when it first comes, which takes
    a minute or more for large networks: take it for long runs, above all on GPUs. What torch cannot compile, such as
    parts that read sparse documents, runs as it is written. So does a `loss` that a subclass overrides, and a warning
    says so.

    ValueError without a compiler (of C++ on a CPU, of C on a GPU); TypeError for RBMs, which have their gradients in
    closed form, ensembles, which have an `execution` of their own, and `Adversarial` with a penalty.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Look whether there is anything to compile, and by what; compiled is at the first step."""
        if stage != "fit":
            return
        if isinstance(pl_module, Ensemble):
            raise TypeError(
                "an Ensemble compiles by itself: leave CompiledLoss out, and set "
                "--model.execution vae_lightning.models.recording.Compiled"
            )
        if not isinstance(pl_module, LatentVariableModule):
            raise TypeError(
                f"CompiledLoss compiles the loss of a model with an objective, which {type(pl_module).__name__} has "
                "not: leave it out"
            )
        if any(isinstance(each, Adversarial) and each.penalty is not None for each in pl_module.modules()):
            raise TypeError(
                "a discriminator's penalty trains by a second derivative, which torch does not compile: leave "
                "CompiledLoss out"
            )
        if pl_module.has_own_loss:
            return rank_zero_warn(
                f"{type(pl_module).__name__} has a loss of its own, which is not compiled: CompiledLoss compiles the "
                "objective of models that train by it alone, and changes nothing here"
            )
        on_gpu = trainer.strategy.root_device.type == "cuda"
        require_compiler("CompiledLoss", "leave it out: the loss is the same", on_gpu)
        # its own random numbers would be others
        pl_module.compute_losses_by(compiled(loss_and_read, options={"fallback_random": True}))

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave the model as it was found."""
        if isinstance(pl_module, LatentVariableModule):
            pl_module.compute_losses_by(None)
