"""Every shipped config: fit, save, load, test, on miniature data."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch.strategies import DDPStrategy
from support.command import ROOT, command, figures, forked, left_with, on_miniature
from support.diagnostics import imported
from support.models import events

from vae_lightning.models import MRFVAE, RBM, VAE, HashingVAE

EXPERIMENTS = sorted(
    path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*.yaml") if path.parent.name != "trainer"
)
OVERLAYS = sorted(path.relative_to(ROOT) for path in (ROOT / "configs" / "trainer").glob("*.yaml"))


@pytest.mark.parametrize("config", EXPERIMENTS, ids=str)
def test_config_is_short_and_names_full_class_paths(config: Path) -> None:
    text = (ROOT / config).read_text()
    assert len(text.splitlines()) <= 60
    paths = [line.split(":", 1)[1].strip() for line in text.splitlines() if "class_path:" in line]
    assert paths
    assert all("." in path for path in paths)


@pytest.mark.parametrize("config", [c for c in EXPERIMENTS if c.parent.name == "newsgroups"], ids=str)
def test_text_config_fits_saves_loads_and_tests(config: Path, miniature: Path, tmp_path: Path) -> None:
    options = ["--config", ROOT / config, *on_miniature(miniature, tmp_path)]
    command("fit", *options)
    checkpoint = tmp_path / "version_0" / "checkpoints" / "best.ckpt"
    command("test", *options, "--ckpt_path", checkpoint)
    logged = figures(tmp_path / "version_0")
    assert logged["test/nelbo"] == pytest.approx(logged["test/reconstruction"] + logged["test/kl"], rel=1e-5)
    assert logged["test/deviance"] < logged["test/nelbo"]
    model = HashingVAE.load_from_checkpoint(checkpoint, weights_only=True)
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert model.num_bits == yaml.safe_load((ROOT / config).read_text())["model"]["init_args"]["num_bits"]


@pytest.mark.parametrize(("name", "module", "best"), [("mixture", VAE, -3.74), ("mixture-mrf", MRFVAE, -3.65)])
def test_mixture_config_fits_saves_loads_and_tests(
    name: str, module: type[VAE | MRFVAE], best: float, tmp_path: Path
) -> None:
    options = ["--config", ROOT / "configs" / f"{name}.yaml", "--trainer.logger.save_dir", tmp_path]
    options += ["--trainer.max_epochs", "4", "--data.sizes", "[2048, 500, 500]", "--data.batch_size", "32"]
    command("fit", *options)
    checkpoint = tmp_path / "version_0" / "checkpoints" / "best.ckpt"
    command("test", *options, "--ckpt_path", checkpoint)
    # the decoder is still at the truth: the ELBO's best is known, and an average of 500 points has an error of 0.05
    assert -figures(tmp_path / "version_0")["test/nelbo"] == pytest.approx(best, abs=0.2)
    model = module.load_from_checkpoint(checkpoint, weights_only=True)
    assert model.sample(5).shape == (5, 2)


@pytest.mark.parametrize("config", [c for c in EXPERIMENTS if c.parent.name == "digits"], ids=str)
def test_digits_config_fits_saves_loads_and_tests(config: Path, tmp_path: Path) -> None:
    options = ["--config", ROOT / config, "--trainer.logger.save_dir", tmp_path, "--trainer.max_epochs", "1"]
    options += ["--data.val_size", "100", "--data.test_size", "1200", "--trainer.accelerator", "cpu"]
    if config.stem == "pixel-hvae":
        options += ["--data.test_size", "100"]  # pixels take time
        options += ["--model.objective.init_args.beta.init_args.steps", "5"]  # a run of one epoch must reach its end
    command("fit", *options)
    run = tmp_path / "version_0"
    command("test", *options, "--trainer.limit_test_batches", "4", "--ckpt_path", run / "checkpoints/best.ckpt")
    logged = figures(run)
    assert logged["test/nelbo"] == pytest.approx(logged["test/reconstruction"] + logged["test/kl"], rel=1e-5)
    described = yaml.safe_load((ROOT / config).read_text())
    watchers = {callback["class_path"].rsplit(".", 1)[-1] for callback in described["trainer"]["callbacks"]}
    seen = {name.removeprefix("test/") for name in {*logged, *events(run).Tags()["images"]}}
    names = {"LogLikelihood": "log_likelihood", "ELBOSurgery": "mutual_information", "CollapseWatch": "collapsed"}
    for watcher in watchers:
        assert names.get(watcher, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", watcher).lower()) in seen
    model = imported(described["model"]["class_path"]).load_from_checkpoint(
        run / "checkpoints/best.ckpt", weights_only=True
    )
    assert model.sample(3).shape == (3, 1, 8, 8)


def overrides(config: Path) -> list[list[str]]:
    """What a config's comments say can be given on the command line: `# name: OPTIONS`, going on in `#   OPTIONS`."""
    found: list[list[str]] = []
    for line in config.read_text().splitlines():
        if more := re.fullmatch(r"#   (--.*)", line):
            found[-1] += shlex.split(more[1])
        elif named := re.fullmatch(r"# [^:]+:( --.*)?", line):
            found.append(shlex.split(named[1] or ""))
    return found


@pytest.mark.parametrize("options", overrides(ROOT / "configs" / "digits" / "vae.yaml"), ids=" ".join)
def test_what_a_comment_says_can_be_overridden_can_be(options: list[str], tmp_path: Path) -> None:
    assert options
    brief = ["--trainer.max_epochs", "20", "--trainer.limit_train_batches", "20", "--trainer.accelerator", "cpu"]
    small = ["--model.encoder.hidden", "[8]", "--model.decoder.hidden", "[8]", "--data.val_size", "50"]
    config = ["--config", ROOT / "configs" / "digits" / "vae.yaml", "--trainer.logger.save_dir", tmp_path]
    seldom = ["--trainer.check_val_every_n_epoch", "20"]  # unless the comment says how often
    command("fit", *config, *seldom, *options, *small, *brief)
    assert figures(tmp_path / "version_0")["val/log_likelihood"] < 0
    saved = torch.load(tmp_path / "version_0/checkpoints/best.ckpt", weights_only=True)
    monitored = next(v["monitor"] for k, v in saved["callbacks"].items() if k.startswith("ModelCheckpoint"))
    assert monitored == (options[options.index("--best.monitor") + 1] if "--best.monitor" in options else "val/nelbo")


def test_rbm_config_fits_saves_loads_and_tests(tmp_path: Path) -> None:
    """Its chains are in the checkpoint, and what chooses the best one is the annealed likelihood."""
    options = ["--config", ROOT / "configs" / "rbm" / "digits.yaml", "--trainer.logger.save_dir", tmp_path]
    options += ["--trainer.max_epochs", "4", "--trainer.check_val_every_n_epoch", "2", "--trainer.accelerator", "cpu"]
    quick = {"AnnealedLikelihood": {"steps": 50, "fit_steps": 20}, "Chains": {"steps": [0, 5], "every_n_epochs": 2}}
    watchers = [{"class_path": f"vae_lightning.callbacks.{k}", "init_args": v} for k, v in quick.items()]
    options += ["--trainer.callbacks", json.dumps(watchers), "--model.sampling_steps", "10"]
    command("fit", *options)
    run = tmp_path / "version_0"
    command("test", *options, "--ckpt_path", run / "checkpoints/best.ckpt")
    logged = figures(run)
    assert -45 < logged["test/log_likelihood"] < -20
    assert logged["test/nelbo"] == pytest.approx(-logged["test/log_likelihood"])
    assert 0 < logged["test/log_partition_error"] < logged["test/log_likelihood_error"] < 1
    assert {"val/chains", "test/chains"} <= set(events(run).Tags()["images"])
    model = RBM.load_from_checkpoint(run / "checkpoints/best.ckpt", weights_only=True)
    assert set(model.algorithm.hidden.unique().tolist()) == {0.0, 1.0}
    assert model.sample(3).shape == (3, 1, 8, 8)


@pytest.mark.parametrize("options", overrides(ROOT / "configs" / "rbm" / "digits.yaml"), ids=" ".join)
def test_what_a_comment_says_of_an_rbm_can_be_overridden(options: list[str], tmp_path: Path) -> None:
    """Each learns something in forty epochs."""
    assert options
    config = ["--config", ROOT / "configs" / "rbm" / "digits.yaml", "--trainer.logger.save_dir", tmp_path]
    brief = ["--trainer.max_epochs", "40", "--trainer.check_val_every_n_epoch", "20", "--trainer.accelerator", "cpu"]
    watch = ["--trainer.callbacks", "vae_lightning.callbacks.AnnealedLikelihood", "--trainer.callbacks.fit_steps", "50"]
    command("fit", *config, *options, *brief, *watch)
    values = [event.value for event in events(tmp_path / "version_0").Scalars("val/log_likelihood")]
    assert values[-1] > values[0] + 0.5


def test_rbm_of_text_config_fits_saves_loads_and_tests(miniature: Path, tmp_path: Path) -> None:
    options = ["--config", ROOT / "configs" / "rbm" / "newsgroups.yaml"]
    options += [o.replace("model.num_words", "model.visible.num_words") for o in on_miniature(miniature, tmp_path)]
    options += ["--trainer.check_val_every_n_epoch", "1", "--model.hidden.event_shape", "4"]
    command("fit", *options)
    run = tmp_path / "version_0"
    command("test", *options, "--ckpt_path", run / "checkpoints/best.ckpt")
    logged = figures(run)
    assert logged["test/nelbo"] == pytest.approx(-logged["test/log_likelihood"])
    assert logged["test/log_partition_error"] == 0  # exact
    assert 0 < logged["test/precision@100"] < 1
    model = RBM.load_from_checkpoint(run / "checkpoints/best.ckpt", weights_only=True)
    assert model.hashes(model.sample(3)).shape == (3, 4)


@pytest.mark.parametrize("options", overrides(ROOT / "configs" / "rbm" / "newsgroups.yaml"), ids=" ".join)
def test_what_a_comment_says_of_an_rbm_of_text_can_be_overridden(
    options: list[str], miniature: Path, tmp_path: Path
) -> None:
    config = ["--config", ROOT / "configs" / "rbm" / "newsgroups.yaml", "--trainer.check_val_every_n_epoch", "1"]
    small = [o.replace("model.num_words", "model.visible.num_words") for o in on_miniature(miniature, tmp_path)]
    brief = ["--trainer.callbacks", "vae_lightning.callbacks.AnnealedLikelihood", "--trainer.callbacks.steps", "50"]
    command("fit", *config, *small, *options, *brief)
    assert options
    used = (tmp_path / "version_0" / "config.yaml").read_text()
    assert all(f": {value}" in used for value in options[1::2])
    assert -1000 < figures(tmp_path / "version_0")["val/log_likelihood"] < 0


def test_linear_config_finds_the_likelihood_of_its_world(tmp_path: Path) -> None:
    options = ["--config", ROOT / "configs" / "linear.yaml", "--trainer.logger.save_dir", tmp_path]
    command("fit", *options, "--trainer.max_epochs", "20", "--trainer.accelerator", "cpu")
    run = tmp_path / "version_0"
    command("test", *options, "--trainer.accelerator", "cpu", "--ckpt_path", run / "checkpoints/best.ckpt")
    found = figures(run)
    # goldens 1: the world's entropy is 2.9708; an average of 1,000 observations has an error of sqrt(1 / 1000) = 0.032
    assert found["test/log_likelihood"] == pytest.approx(-2.9708, abs=4 * 0.032)
    assert found["test/decoder_r2"] == pytest.approx(1, abs=1e-3)
    assert found["test/encoder_r2"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    "variant",
    [
        ["--model.encoder.features", "vae_lightning.nn.WordFrequencies", "--model.encoder.hidden", "[16, 16]"],
        ["--model.encoder.features", "vae_lightning.nn.TFIDF"],
        ["--model.decoder.hidden", "[16]"],
        ["--model.decoder.hidden", "[16, 16]", "--model.num_bits", "5"],
        ["--trainer.precision", "bf16-mixed"],
        ["--model.objective.estimator.class_path", "vae_lightning.estimators.Enumerated"],
        ["--model.objective.estimator", "vae_lightning.estimators.Reinforce", "--model.objective.beta", "0.5"],
        [
            "--model.objective.estimator",
            "vae_lightning.estimators.LeaveOneOut",
            "--model.objective.estimator.num_samples=2",
        ],
        ["--model.objective.class_path", "vae_lightning.objectives.AnalyticELBO"],
        ["--model.objective.class_path", "vae_lightning.objectives.IWAE"],
        ["--data.ranking", "vae_lightning.data.ByDocuments"],
        ["--trainer.callbacks+", "vae_lightning.callbacks.GradientVariance"],
        [
            "--trainer.callbacks+",
            "lightning.pytorch.callbacks.EarlyStopping",
            "--trainer.callbacks.monitor",
            "val/nelbo",
        ],
        ["--model.scheduler", "torch.optim.lr_scheduler.StepLR", "--model.scheduler.step_size", "1"],
    ],
    ids=" ".join,
)
def test_variants_by_override(variant: list[str], miniature: Path, tmp_path: Path) -> None:
    """It trains, the model is built of what the override names, and so it is when the checkpoint is loaded."""
    config = ROOT / "configs" / "newsgroups" / "8bit.yaml"
    command("fit", "--config", config, *on_miniature(miniature, tmp_path), *variant)
    assert 0 < figures(tmp_path / "version_0")["val/deviance"] < 100
    model = HashingVAE.load_from_checkpoint(tmp_path / "version_0/checkpoints/best.ckpt", weights_only=True)
    parts = {type(module).__name__ for module in model.modules()}
    named = [name.rsplit(".", 1)[-1] for name in variant if name.startswith("vae_lightning.") and "data" not in name]
    assert parts.issuperset(name for name in named if name != "GradientVariance")


GPUS = {"gpu": ("1", 1), "gpus": ("auto", 1), "gpus-nodes": ("auto", 2)}  # overlays: devices, machines


@pytest.mark.parametrize("overlay", [o for o in OVERLAYS if o.stem not in GPUS], ids=str)
def test_trainer_overlay(overlay: Path, miniature: Path, tmp_path: Path) -> None:
    config = ROOT / "configs" / "newsgroups" / "8bit.yaml"
    options = [o for o in on_miniature(miniature, tmp_path) if o not in ("--trainer.accelerator", "cpu")]
    done = forked(
        "fit", "--config", config, "--config", ROOT / overlay, *options, processes=1 + (overlay.stem == "ddp")
    )
    assert done.returncode == 0, done.stderr
    assert figures(tmp_path / "version_0")["val/nelbo"] > 0


@pytest.mark.parametrize("name", GPUS)
def test_overlays_of_gpus_parse(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And are explained in their first line by a command."""
    overlay = ROOT / "configs" / "trainer" / f"{name}.yaml"
    assert re.match(rf"# .*vae-lightning fit --config EXPERIMENT --config trainer/{name}\n", overlay.read_text())
    assert left_with(["fit", "--config", "newsgroups/8bit", "--config", f"trainer/{name}", "--print_config"]) == 0
    trainer = yaml.safe_load(capsys.readouterr().out)["trainer"]
    assert trainer["accelerator"] == "gpu"
    assert trainer["precision"] == "bf16-mixed"
    assert (str(trainer["devices"]), trainer["num_nodes"]) == GPUS[name]
    assert trainer["max_epochs"] > 0  # the experiment's own settings stay
    if name != "gpu":
        made = DDPStrategy(**trainer["strategy"]["init_args"], **trainer["strategy"].get("dict_kwargs", {}))
        assert made.process_group_backend == "nccl"
        assert made._ddp_kwargs["broadcast_buffers"] is False
