"""Help: a subcommand -> what its `--help` says."""

from __future__ import annotations

from vae_lightning.training.shipped import names

_DESCRIPTIONS = {
    "fit": "Train a model, keep its best and its last checkpoint, log to TensorBoard. With --ckpt_path: go on where "
    "that checkpoint was written, to the same bits as a run that was never interrupted. On data of your own: --config "
    "text --data.path docs/, --config table --data.path rows.csv, --config images --data.path photos/.",
    "validate": "Figures of a checkpoint (--ckpt_path) on the validation split.",
    "test": "Figures of a checkpoint (--ckpt_path) on the test split: once, after selection.",
    "predict": "Write the codes that a checkpoint (--ckpt_path) gives, hashes or posterior means, as codes.npz in the "
    "run's folder.",
}

_WHICH = (
    "a checkpoint's file; or the folder of a run, which stands for its {name}.ckpt and for the options in its "
    "config.yaml; or 'last' or 'best', that file of the newest run where this one would log. Model and data are the "
    "checkpoint's unless --config or an option says otherwise."
)

INSTEAD = {
    "optimizer": "a model has its optimizer as its own option, --model.optimizer CLASS --model.optimizer.lr 0.01",
    "lr_scheduler": "a model has its scheduler as its own option, --model.scheduler CLASS",
    "weights_only": "a checkpoint is read as data alone, whatever is asked for",
}
"""Options of LightningCLI that nothing here would read, and what to do."""

START_FROM = "Weights that a new run starts from, with a fresh optimizer, step 0 and its own seed: " + _WHICH.format(
    name="best"
)


def describe(subcommand: str) -> dict[str, str]:
    """A usage of one line, where the generated one would list 150 options above every error, and what is done."""
    return {
        "usage": f"vae-lightning {subcommand} --config FILE.yaml|NAME [--config OVERLAY.yaml] [--KEY VALUE ...]",
        "description": f"{_DESCRIPTIONS[subcommand]} Every option is a key of the YAML file; --model.help "
        "vae_lightning.models.HashingVAE (--data.help, --trainer.callbacks.help, with a class path) teaches a class. "
        f"--config takes your own file, or the name of one that is shipped: {', '.join(names())}. A number of words or "
        "a shape of observations that a model leaves out is that of the data.",
    }


def ckpt_path(subcommand: str) -> str:
    """What --ckpt_path takes and does."""
    if subcommand != "fit":
        return f"What to {subcommand}: {_WHICH.format(name='best')}"
    return (
        f"Where to go on: {_WHICH.format(name='last')} The run goes on in its folder and under the seed it began with; "
        "changed options of the optimizer take effect (a new lr scales what a scheduler has made of the old one), "
        "another optimizer or scheduler cannot take the old one's state and is refused."
    )


NO_VALIDATION = (
    "there are no observations for validation, by which the best model is chosen: give more data, or more of them by "
    "--data.val_size"
)
"""Said where early stopping has nothing to go by."""
