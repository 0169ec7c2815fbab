"""What a user gets wrong ends in one clear line, and nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from support.command import HASHING, ROOT, command, forked, on_miniature

ESTIMATOR = ("--model.objective.estimator",)


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The last line that the failing command wrote on standard error."""
    with pytest.raises(SystemExit) as stop:
        command(*arguments)
    assert stop.value.code in (1, 2)
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert not any(noise in line for noise in ("Namespace(", "ubtypes", "<class 'NoneType'>"))
    return line


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--model.num_bits", "0"], "num_bits is the length of a code and must be at least 1, got 0"),
        (["--model.num_words", "50"], "the model has 50 words but the data 80"),
        ([*ESTIMATOR, "vae_lightning.estimators.Reparameterised"], "use DisARM or LeaveOneOut"),
        (["--model.num_bits", "20", *ESTIMATOR, "vae_lightning.estimators.Enumerated"], "2^20 terms"),
        ([*ESTIMATOR, "vae_lightning.estimators.LeaveOneOut"], "num_samples >= 2"),
        (["--model.objective.beta", "-1"], "beta weighs the KL"),
        (["--model.evaluation_samples", "0"], "evaluation_samples"),
        (["--data.batch_size", "0"], "batch_size must be at least 1"),
        (["--last.every_n_steps", "0"], "every_n_steps >= 1"),
        (["--data.path", "nowhere"], "there is no 20news-bydate-matlab.tgz"),
        (["--ckpt_path", "nowhere.ckpt"], "nowhere.ckpt"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_wrong_options(
    options: list[str], expected: str, miniature: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = error_of(capsys, "fit", "--config", HASHING, *on_miniature(miniature, tmp_path), *options)
    assert expected in line
    assert not list(tmp_path.iterdir())


ONE_MEAN = '{"class_path": "vae_lightning.objectives.Mean"}'


@pytest.mark.parametrize(
    ("config", "options", "expected"),
    [
        ("linear", ["--model.repeats", "0"], "repeats is R, how often generator and inference are learnt"),
        ("lagging", ["--model.objective.segments", "0"], "segments is R, from 1 to half the 30000 steps"),
        ("linear", ["--model.generator.penalties", f"[{ONE_MEAN}, {ONE_MEAN}]"], "told apart by their names"),
        (
            "linear",
            ["--data.data.process", "vae_lightning.data.processes.Gaussian"],
            "the model observes (2,) but the data are (4,)",
        ),
        ("linear", ["--data.data.sizes", "[2, 50, 50]"], "needs more codes than they have dimensions"),
        ("annealed", ["--trainer.max_steps", "24"], "needs 15000 steps but the run has only 24"),
        ("ensemble", ["--trainer.callbacks+", "vae_lightning.callbacks.GradientVariance"], "its members do"),
    ],
)
def test_wrong_options_of_libi_and_its_rivals(
    config: str, options: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ROOT / "configs" / "libi" / f"{config}.yaml"
    line = error_of(capsys, "fit", "--config", path, "--trainer.logger.save_dir", tmp_path, *options)
    assert line.startswith("vae-lightning: ")
    assert expected in line


def test_unknown_yaml_key(miniature: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "typo.yaml"
    config.write_text(HASHING.read_text().replace("num_bits:", "num_bitz:"))
    with pytest.raises(SystemExit):
        command("fit", "--config", config, *on_miniature(miniature, tmp_path))
    assert (
        capsys.readouterr().err
        == "vae-lightning: Option 'num_bitz' is not accepted, did you mean num_bits?; see --help\n"
    )


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut off"], ids=["empty", "text", "truncated"])
def test_a_file_that_is_no_checkpoint(
    content: bytes, miniature: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.ckpt").write_bytes(content)
    options = ["--config", HASHING, *on_miniature(miniature, tmp_path / "runs")]
    line = error_of(capsys, "test", *options, "--ckpt_path", tmp_path / "broken.ckpt")
    assert "broken.ckpt is not a whole checkpoint" in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("subcommand", ["validate", "test", "predict"])
def test_nothing_is_evaluated_without_a_checkpoint(
    subcommand: str, miniature: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = error_of(capsys, subcommand, "--config", HASHING, *on_miniature(miniature, tmp_path))
    assert f"{subcommand} needs a trained model: give its checkpoint by --ckpt_path" in line


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    line = error_of(capsys, "fitt")
    assert "no command 'fitt'; there are fit, validate, test, predict, " in line


def test_checkpoint_of_another_vocabulary(miniature: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--config", HASHING, *on_miniature(miniature, tmp_path)]
    command("fit", *options)
    checkpoint = tmp_path / "version_0/checkpoints/best.ckpt"
    # as many words, in another order
    line = error_of(
        capsys, "test", *options, "--data.ranking", "vae_lightning.data.ByDocuments", "--ckpt_path", checkpoint
    )
    assert "the checkpoint's vocabulary" in line


def test_a_loss_that_is_not_a_number_says_which_term_and_keeps_the_last_good_checkpoint(
    miniature: Path, tmp_path: Path
) -> None:
    options = ["fit", "--config", HASHING, *on_miniature(miniature, tmp_path), "--last.every_n_steps", "1"]
    poisoned = forked(
        *options, "--trainer.callbacks", '[{"class_path": "support.resume_probe.Poison", "init_args": {"step": 9}}]'
    )
    assert poisoned.returncode == 1
    line = poisoned.stderr.strip().splitlines()[-1]
    assert "the loss is nan at step 9" in line
    assert "log p(x|z) in 16 of 16 rows" in line
    assert "model.decoder.network.output.bias" in line
    assert "log q(z|x)" not in line
    good = torch.load(tmp_path / "version_0/checkpoints/last.ckpt", weights_only=True)
    assert good["global_step"] == 9
    assert all(value.isfinite().all() for value in good["state_dict"].values())


def test_weights_that_are_not_finite_are_never_saved(miniature: Path, tmp_path: Path) -> None:
    """The last step of a run can break the weights after its loss was still good."""
    options = ["fit", "--config", HASHING, *on_miniature(miniature, tmp_path), "--model.optimizer.lr", "1.0e+39"]
    broken = forked(*options)
    assert broken.returncode == 1
    assert "not finite" in broken.stderr.strip().splitlines()[-1]
    assert not list(tmp_path.rglob("*.ckpt*"))


DIGITS = ROOT / "configs" / "digits" / "vamp.yaml"
CALLBACK = ("--trainer.callbacks+",)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--model.latent_dim", "0"], "latent_dim is the number of entries of a code"),
        (["--model.latent_dim", "3"], "latent shape is (3,) but (16,) is expected"),
        (["--model.prior.observed_shape", "[1, 8, 9]"], "(1, 8, 9) -> (16,) but the encoder (1, 8, 8) -> (16,)"),
        (["--model.prior.num_components", "0"], "VampPrior needs num_components >= 1"),
        (["--model.observed.event_shape", "[1, 8, 9]", "--model.prior.observed_shape", "[1, 8, 9]"],
         "the data are (1, 8, 8)"),
        (["--model.objective", "vae_lightning.objectives.AnalyticELBO"], "use ELBO, which estimates it"),
        (["--model.objective.beta", "vae_lightning.objectives.WarmUp", "--model.objective.beta.steps", "999"],
         "needs 999 steps but the run has only 20"),
        (["--model.encoder.class_path", "vae_lightning.nn.Convolutions", "--model.encoder.channels", "[4, 4, 4, 4]"],
         "sides divisible by 16"),
        ([*CALLBACK, "vae_lightning.callbacks.LogLikelihood", "--trainer.callbacks.Ks", "[0]"], "got [0]"),
        ([*CALLBACK, "vae_lightning.callbacks.HammingPrecision"], "needs a model with hashes(x)"),
        ([*CALLBACK, "vae_lightning.callbacks.ResampledPosterior"], "codes of two real numbers"),
        ([*CALLBACK, "vae_lightning.callbacks.ActiveUnits", "--trainer.callbacks.threshold", "-1"], "threshold >= 0"),
        ([*CALLBACK, "vae_lightning.callbacks.FrechetInceptionDistance", "--trainer.callbacks.num", "1"], "num >= 2"),
        ([*CALLBACK, "vae_lightning.callbacks.FrechetInceptionDistance", "--trainer.callbacks.weights", "nowhere.pth"],
         "nowhere.pth"),
        (["--data.val_size", "1797"], "val_size"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_wrong_options_of_digits(
    options: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ("--trainer.logger.save_dir", tmp_path, "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu")
    line = error_of(capsys, "fit", "--config", DIGITS, *run, *options)
    assert expected in line
    assert not list(tmp_path.rglob("*.ckpt"))


def test_data_that_the_model_cannot_have_leave_no_run_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reals under Bernoulli, which would give a log-likelihood above 0; gray pixels; precision that rounds weights."""
    run = ("--trainer.logger.save_dir", tmp_path, "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu")
    bits = ("--model.observed", "vae_lightning.families.Bernoulli", "--model.observed.event_shape", "2")
    line = error_of(capsys, "fit", "--config", ROOT / "configs" / "linear.yaml", *run, *bits)
    assert "Bernoulli((2,)) takes zeros and ones, got" in line
    assert "among the training data" in line
    line = error_of(capsys, "fit", "--config", DIGITS, *run, "--data.binarisation", "null")
    assert "Bernoulli((1, 8, 8)) takes zeros and ones, got 0." in line
    assert "or ask for intensities=True" in line
    line = error_of(capsys, "fit", "--config", DIGITS, *run, "--trainer.precision", "bf16-true")
    assert "trainer.precision bf16-true would round the weights and the data" in line
    assert not list(tmp_path.iterdir())


def test_images_of_another_size_are_painted_or_refused_but_never_scrambled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shapes of both networks follow the observations; one that a configuration still gives has to agree."""
    torch.manual_seed(0)
    for number in range(30):
        pixels = (torch.rand(16, 16, 3) * 255).byte().numpy()
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    config = ("--config", ROOT / "configs" / "digits" / "convolutional.yaml")
    data = ("--data", "vae_lightning.data.ImageFolder", "--data.path", tmp_path, "--data.eval_batch_size", "3")
    shape = ("--model.observed.event_shape", "[3, 16, 16]")
    run = ("--trainer.logger.save_dir", tmp_path / "runs", "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu")
    quiet = ("--trainer.callbacks", "[]")
    old = ("--model.decoder.network.image_shape", "[1, 8, 8]")
    line = error_of(capsys, "fit", *config, *data, *shape, *run, *quiet, *old)
    assert "image_shape is (1, 8, 8), but the observations are (3, 16, 16): leave image_shape out" in line
    assert not (tmp_path / "runs").exists()
    command("fit", *config, *data, *shape, *run, *quiet)
    weights = torch.load(next((tmp_path / "runs").rglob("last.ckpt")), weights_only=True)["state_dict"]
    assert weights["model.decoder.network.network.output.3.weight"].shape == (32, 3, 4, 4)  # three maps, not 192


def test_a_corpus_smaller_than_the_k_of_its_precision(
    miniature: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--config", HASHING, *on_miniature(miniature, tmp_path), "--data.val_size", "82"]
    line = error_of(capsys, "fit", *options)
    assert "HammingPrecision's k must be at most 38, the number of training documents, got k = 100" in line
    assert "init_args.k in trainer.callbacks" in line
    assert not list(tmp_path.rglob("*.ckpt"))


def test_two_levels_of_another_shape_than_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat = ("--model.observed.event_shape", "64", "--model.prior.observed_shape", "64")
    config = ROOT / "configs" / "digits" / "hvae.yaml"
    line = error_of(capsys, "fit", "--config", config, *flat, "--trainer.logger.save_dir", tmp_path)
    assert "the model observes (64,) but the data are (1, 8, 8)" in line
    assert not list(tmp_path.iterdir())
