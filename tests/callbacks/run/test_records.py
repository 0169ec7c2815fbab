"""metrics.json holds the last value of every figure; TensorBoard's HPARAMS the hyper-parameters with the final ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from support.command import figures
from support.hparams import differing, metrics
from support.models import digits, events, gaussian_vae, hashing, newsgroups, trainer
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from vae_lightning.callbacks import FinalFigures, LastCheckpoint, MetricsFile, Samples
from vae_lightning.models import GaussianVAE


@pytest.fixture(scope="module")
def run(miniature: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs."""
    fitted = trainer(MetricsFile(), FinalFigures(), folder=tmp_path_factory.mktemp("run"), max_epochs=2)
    fitted.fit(hashing(), datamodule=newsgroups(miniature))
    assert fitted.log_dir
    return Path(fitted.log_dir)


def test_metrics_are_the_last_that_tensorboard_has(run: Path) -> None:
    written, logged = figures(run), events(run)
    assert {"train/loss", "train/deviance", "val/nelbo", "val/deviance", "val/kl", "val/perplexity"} <= written.keys()
    for name, value in written.items():
        assert value == pytest.approx(logged.Scalars(name)[-1].value, rel=1e-6), name
    assert len(logged.Scalars("val/nelbo")) == 2
    assert logged.Scalars("val/nelbo")[0].value != logged.Scalars("val/nelbo")[1].value


def test_a_later_test_adds_its_figures(run: Path, miniature: Path) -> None:
    before = figures(run)
    again = trainer(MetricsFile(), folder=run.parent)
    again.logger._version = run.name
    (tested,) = again.test(hashing(), datamodule=newsgroups(miniature), verbose=False)
    assert figures(run) == before | tested
    assert "test/nelbo" in figures(run)


def test_a_run_that_is_trained_further_drops_the_figures_of_its_test(miniature: Path, tmp_path: Path) -> None:
    """They stood beside the longer run as if they were its own; one that takes no step keeps them."""
    for epochs, tested in ((1, True), (1, True), (2, False)):
        run = trainer(MetricsFile(), LastCheckpoint(), default_root_dir=tmp_path, max_epochs=epochs)
        last = tmp_path / "checkpoints" / "last.ckpt"
        run.fit(hashing(), datamodule=newsgroups(miniature), ckpt_path=last if last.exists() else None)
        if epochs == 1 and "test/nelbo" not in figures(tmp_path):
            run.test(hashing(), datamodule=newsgroups(miniature), verbose=False)
        assert ("test/nelbo" in figures(tmp_path)) == tested
        assert "val/nelbo" in figures(tmp_path)


def test_figures_are_there_after_every_validation_and_never_in_halves(miniature: Path, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    class Reader(MetricsFile):
        """Fails while the second epoch's figures are being written."""

        epochs = 0

        def _write(self, trainer: object) -> None:
            self.epochs += 1
            if self.epochs == 2:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(Killed))
                    super()._write(trainer)
            super()._write(trainer)

    fitted = trainer(Reader(), folder=tmp_path, max_epochs=3)
    with pytest.raises(Killed):
        fitted.fit(hashing(), datamodule=newsgroups(miniature))
    first = events(tmp_path / "version_0").Scalars("val/nelbo")[0].value
    assert figures(tmp_path / "version_0")["val/nelbo"] == pytest.approx(first, rel=1e-6)


def test_a_dry_run_leaves_nothing(miniature: Path, tmp_path: Path) -> None:
    fitted = trainer(MetricsFile(), FinalFigures(), folder=tmp_path, fast_dev_run=True)
    fitted.fit(hashing(), datamodule=newsgroups(miniature))
    assert not list(tmp_path.rglob("*"))


def test_without_a_logger_the_runs_folder_is_the_default_root(miniature: Path, tmp_path: Path) -> None:
    fitted = trainer(MetricsFile(), FinalFigures(), default_root_dir=tmp_path)
    fitted.fit(hashing(), datamodule=newsgroups(miniature))
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_it_is_valid_json_with_sorted_names(run: Path) -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    read = json.loads((run / "metrics.json").read_text(), parse_constant=refuse)
    assert list(read) == sorted(read)


DAMAGED = (b"", b"{", b"\xff\xfe", b"[1, 2]", b'{"val/nelbo": "low"}', b'{"val/nelbo": [1]}')


@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_damaged_file_is_kept_aside_and_written_anew(damaged: bytes, miniature: Path, tmp_path: Path) -> None:
    """Twice: the one that was kept the first time stays, too."""
    for number in range(2):
        (tmp_path / "metrics.json").write_bytes(damaged)
        fitted = trainer(MetricsFile(), default_root_dir=tmp_path)
        line = rf"^{re.escape(str(tmp_path))}/metrics\.json is damaged .* kept as metrics\.damaged-{number}\.json"
        with pytest.warns(UserWarning, match=line):
            fitted.test(hashing(), datamodule=newsgroups(miniature), verbose=False)
        assert figures(tmp_path)["test/nelbo"] > 0
        assert (tmp_path / f"metrics.damaged-{number}.json").read_bytes() == damaged


class Undefined(pl.Callback):
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.log_dict({"val/undefined": torch.nan, "val/endless": torch.inf})


def test_what_is_not_finite_is_null_which_json_has_a_word_for(miniature: Path, tmp_path: Path) -> None:
    trainer(MetricsFile(), Undefined(), folder=tmp_path).fit(hashing(), datamodule=newsgroups(miniature))
    found = figures(tmp_path / "version_0")
    assert (found["val/undefined"], found["val/endless"]) == (None, None)
    assert found["val/nelbo"] > 0


def test_hyper_parameters_stand_beside_the_figures_that_were_logged(run: Path) -> None:
    start = HParamsPluginData.FromString(
        events(run).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    )
    parameters = {
        name: value.number_value or value.string_value for name, value in start.session_start_info.hparams.items()
    }
    assert parameters["model/num_bits"] == 3
    assert parameters["data/batch_size"] == 16
    assert not any("_class_path" in name or "instantiator" in name for name in parameters)
    assert {"val/nelbo", "val/deviance", "train/loss"} <= set(metrics(run.parent))


def test_every_card_is_of_a_split_and_no_figure_is_written_twice(run: Path) -> None:
    logged = events(run)
    tags = logged.Tags()["scalars"]
    assert {tag.partition("/")[0] for tag in tags} <= {"train", "val", "test"}
    for tag in tags:
        steps = [point.step for point in logged.Scalars(tag)]
        assert steps == sorted(set(steps)), tag
    assert len(logged.Scalars("val/nelbo")) == 2


def test_of_two_runs_the_columns_are_what_differs_and_the_real_figures(miniature: Path, tmp_path: Path) -> None:
    for num_bits in (3, 4):
        fitted = trainer(FinalFigures(), folder=tmp_path, max_epochs=1)
        fitted.fit(hashing(num_bits=num_bits), datamodule=newsgroups(miniature))
    assert differing(tmp_path) - {"run/seed"} == {"model/num_bits"}
    assert metrics(tmp_path) == sorted(set(events(tmp_path / "version_1").Tags()["scalars"]))


def written_by_a_test(module: GaussianVAE, folder: Path, **arguments: Path) -> tuple[int, int]:
    """The steps at which a figure and a picture of it stand."""
    run = trainer(Samples(), MetricsFile(), folder=folder)
    run.test(module, datamodule=digits(), verbose=False, **arguments)
    assert "step" not in figures(Path(run.log_dir))
    written = events(Path(run.log_dir))
    return written.Scalars("test/nelbo")[0].step, written.Images("test/samples")[0].step


def test_a_checkpoint_is_evaluated_at_the_step_it_was_taken(tmp_path: Path) -> None:
    """Figures and pictures, in whatever process: they go on with those of the training, which end at step 19."""
    module, fitted = gaussian_vae(), trainer(Samples(every_n_epochs=2), folder=tmp_path / "fit", max_epochs=2)
    fitted.fit(module, datamodule=digits())
    assert fitted.global_step == 20
    assert events(Path(fitted.log_dir)).Scalars("val/nelbo")[-1].step == 19
    assert events(Path(fitted.log_dir)).Images("val/samples")[-1].step == 19
    fitted.save_checkpoint(tmp_path / "end.ckpt")
    assert written_by_a_test(gaussian_vae(), tmp_path / "path", ckpt_path=tmp_path / "end.ckpt") == (19, 19)
    assert written_by_a_test(module, tmp_path / "same") == (19, 19)
    assert written_by_a_test(gaussian_vae(), tmp_path / "untrained") == (0, 0)
