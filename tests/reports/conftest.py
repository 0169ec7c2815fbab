from pathlib import Path

import pytest
import yaml
from support.command import command
from support.short_run import tiny


@pytest.fixture(scope="session")
def run_with_figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs with diagnostics and pictures, tested; to be read only."""
    folder = tmp_path_factory.mktemp("reported")
    names = ("LogLikelihood", "ActiveUnits", "ELBOSurgery", "CollapseWatch", "Samples")
    watchers = [{"class_path": f"vae_lightning.callbacks.{name}", "init_args": {"every_n_epochs": 1}} for name in names]
    watchers[0]["init_args"] |= {"Ks": [1, 5], "fit_Ks": [1, 5]}
    where = ("--trainer.logger.save_dir", str(folder))
    command("fit", "--config", tiny(folder), *where, "--trainer.callbacks", yaml.safe_dump(watchers))
    command("test", "--ckpt_path", folder / "version_0")
    return folder / "version_0"
