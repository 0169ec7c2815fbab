"""What diagnostics cost: log-likelihoods, ELBO surgery, Fréchet distances, and all callbacks together in training.

    OMP_NUM_THREADS=1 python benchmarks/diagnostics.py [likelihood] [surgery] [frechet] [epoch]

All in one run, or the parts named; writes diagnostics.json beside this file. Figures are processor seconds of this
process, its threads together (with one thread on an idle machine: seconds), medians over rounds in which the
contestants take turns. pythae is no dependency: `pip install --no-deps --target FOLDER pythae imageio pydantic
pydantic-core annotated-types typing-inspection`, then PYTHONPATH=FOLDER; without it its rows are left out.
"""

from __future__ import annotations

import json
import logging
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributions as td
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from pytorch_fid.fid_score import calculate_frechet_distance
from surgery import UNITS, N, posteriors
from torch import Tensor, nn
from torchmetrics.image.fid import _compute_fid

from vae_lightning import callbacks, metrics
from vae_lightning.data import Digits, DynamicBinarisation
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli
from vae_lightning.inference.importance import log_weights
from vae_lightning.metrics.functional.aggregated import aggregated_log_prob
from vae_lightning.metrics.functional.frechet import frechet_distance, frechet_distance_of_features
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO
from vae_lightning.process import keep_large_buffers
from vae_lightning.training import trainer

Figures = dict[str, Any]

K, IMAGES = 1_000, 20
NAIVE_ROWS = 10
FEATURES = 2_048
EPOCHS = 50


def in_turns(contestants: Mapping[str, Callable[[], object]], rounds: int, warm: int = 1) -> dict[str, float]:
    """Median processor seconds of each, measured round after round."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + warm):
        for name, run in contestants.items():
            began = time.process_time()
            run()
            if turn >= warm:
                times[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in times.items()}


# -- log p(x) ------------------------------------------------------------------------------------------------------


def likelihood() -> Figures:
    """Log p(x) by 1,000 samples, MLP 784-512-20, binary pixels: milliseconds an image."""
    hidden = partial(MLP, hidden=[512])
    torch.manual_seed(0)
    model = GaussianVAE(20, Bernoulli((1, 28, 28)), encoder=hidden, decoder=hidden).model.eval()
    x = (torch.rand(IMAGES, 1, 28, 28) < 0.2).float()
    contestants = {"ours": lambda: ours(model, x), "bare": lambda: bare(model, x)}
    if find_spec("pythae"):
        peer = pythae_model(model)
        contestants["pythae, get_nll(x, 1000)"] = lambda: peer.get_nll(x, K)  # ten batches of 100 samples
        contestants["pythae, get_nll(x, 1000, 1000) under no_grad"] = torch.no_grad()(lambda: peer.get_nll(x, K, K))
    else:
        print("pythae is not installed: its rows are left out; see this file's docstring")
    values = {name: float(run()) for name, run in contestants.items()}  # type: ignore[arg-type]
    ms = {name: 1e3 * seconds / IMAGES for name, seconds in in_turns(contestants, 9).items()}
    for name in contestants:
        print(f"{name}: {ms[name]:.2f} ms an image, log p(x) = {values[name]:.2f}")
    ratios = {f"{name} / ours": value / ms["ours"] for name, value in ms.items() if name.startswith("pythae")}
    ratios["ours / bare"] = ms["ours"] / ms["bare"]
    print_ratios(ratios, "at most 1.1 of bare, pythae 1.3 of ours")
    return {"ms an image": ms, "log p(x)": values, "ratios": ratios}


def ours(model: Any, x: Tensor) -> Tensor:
    """As the callback does it: three bounds, errors, effective sample size, jackknife."""
    metric = metrics.LogLikelihood([1, 50, K])
    for part in log_weights(model, x, K):
        metric.update(part)
    return metric.compute()["log_likelihood"]


@torch.no_grad()
def bare(model: Any, x: Tensor) -> Tensor:
    """The same arithmetic and nothing else: one bound, image by image in batches of K."""
    (e1, e2), (d1, d2) = (
        ((net.hidden[0].weight, net.hidden[0].bias), (net.output.weight, net.output.bias))
        for net in (model.encoder.network, model.decoder.network)
    )
    flat, bounds = x.flatten(1), []
    mean, log_sigma = F.linear(F.linear(flat, *e1).relu_(), *e2).chunk(2, -1)
    for pixels, m, s in zip(flat, mean, log_sigma, strict=True):
        noise = torch.randn(K, 20)
        z = m + s.exp() * noise
        logits = F.linear(F.linear(z, *d1).relu_(), *d2)
        log_x = -F.binary_cross_entropy_with_logits(logits, pixels.expand_as(logits), reduction="none").sum(-1)
        log_weight = log_x + 0.5 * (noise.square() - z.square()).sum(-1) + s.sum()
        bounds.append(log_weight.logsumexp(0) - math.log(K))
    return torch.stack(bounds).mean()


def pythae_model(model: Any) -> Any:
    """The same weights in pythae's VAE."""
    from pythae.models import VAE, VAEConfig  # noqa: PLC0415  # optional
    from pythae.models.base.base_utils import ModelOutput  # noqa: PLC0415
    from pythae.models.nn import BaseDecoder, BaseEncoder  # noqa: PLC0415

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.encoder.network

        def forward(self, x: Tensor) -> Any:
            mean, log_sigma = self.network(x).chunk(2, -1)
            return ModelOutput(embedding=mean, log_covariance=2 * log_sigma)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.decoder.network

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.network(z).sigmoid().unflatten(-1, (1, 28, 28)))

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=20, reconstruction_loss="bce")
    return VAE(config, Encoder(), Decoder()).eval()


# -- ELBO surgery --------------------------------------------------------------------------------------------------


def surgery() -> Figures:
    """N = 50,000 Gaussian posteriors of 64 units: seconds and the peak memory of surgery.py, and the naive way."""
    script = [sys.executable, str(Path(__file__).with_name("surgery.py"))]  # its peak memory is that of nothing else
    figures: Figures = json.loads(subprocess.run(script, check=True, capture_output=True, text=True).stdout)
    q, z = posteriors()
    rows = {"naive": lambda: naive(q, z[:NAIVE_ROWS])}
    with torch.no_grad():
        figures["naive seconds"] = in_turns(rows, 3)["naive"] * N / NAIVE_ROWS
        exact = naive(posteriors(torch.float64)[0], z[:NAIVE_ROWS].double())
        block = aggregated_log_prob(q, z[:NAIVE_ROWS])
        figures["largest error, nats"] = {
            "ours": float((block - exact).abs().max()),
            "naive": float((naive(q, z[:NAIVE_ROWS]) - exact).abs().max()),
        }
    figures["matrix products alone, seconds"] = products()
    figures["ratios"] = {"naive / ours": figures["naive seconds"] / figures["seconds"]}
    print(
        f"{figures['seconds']:.1f} s, peak {figures['peak MB']:.0f} MB of which {figures['before MB']:.0f} before it "
        f"began; naive {figures['naive seconds']:.0f} s (from {NAIVE_ROWS} of {N} rows); the products alone "
        + ", ".join(f"{value:.1f} s in {name}" for name, value in figures["matrix products alone, seconds"].items())
        + "; largest error of log q(z), nats: "
        + ", ".join(f"{name} {value:.1e}" for name, value in figures["largest error, nats"].items())
    )
    print_ratios(figures["ratios"], "10; peak below 1 GB")
    return figures


def naive(q: td.Distribution, z: Tensor) -> Tensor:
    """Log q(z) by broadcasting every z against every posterior, one z at a time: of (rows, N, units) it is faster."""
    return torch.cat([q.log_prob(row).logsumexp(0, keepdim=True) for row in z]) - math.log(N)


def products() -> dict[str, float]:
    """Seconds of the N x N products of 2 x 64 statistics, in blocks, at either precision."""
    blocks = 20
    runs = {}
    for dtype in (torch.float64, torch.float32):
        a, b, out = (torch.randn(1024, width, dtype=dtype) for width in (2 * UNITS, 2 * UNITS, 1024))
        runs[str(dtype).removeprefix("torch.")] = partial(_repeat, partial(torch.mm, a, b.mT, out=out), blocks)
    return {name: seconds / blocks * (N / 1024) ** 2 for name, seconds in in_turns(runs, 9).items()}


def _repeat(run: Callable[[], object], times: int) -> None:
    for _ in range(times):
        run()


# -- Fréchet distance ----------------------------------------------------------------------------------------------


def frechet() -> Figures:
    """2,048 features of 10,000 and of 1,000 images a side: seconds, and the distances."""
    return {f"{n} images": _frechet(n) for n in (10_000, 1_000)}


def _frechet(n: int) -> Figures:
    """Everyone gets moments in float64; below full rank ours has the rows besides, as its metric does."""
    real, generated = features(n, 0), features(n, 1)
    moments = (real.mean(0), real.T.cov(), generated.mean(0), generated.T.cov())
    arrays = tuple(moment.numpy() for moment in moments)
    full = n > FEATURES
    contestants: dict[str, Callable[[], object]] = {
        "ours": (lambda: frechet_distance(*moments)) if full else lambda: frechet_distance_of_features(real, generated),
        "torchmetrics": lambda: _compute_fid(*moments),
        "pytorch-fid": lambda: calculate_frechet_distance(*arrays),
    }
    if not full:
        contestants["ours, from moments alone"] = lambda: frechet_distance(*moments)
    values = {name: float(run()) for name, run in contestants.items()}  # type: ignore[arg-type]
    seconds = in_turns(contestants, 3, warm=0)
    ratios = {f"{name} / ours": seconds[name] / seconds["ours"] for name in ("torchmetrics", "pytorch-fid")}
    for name in contestants:
        print(f"{n} images, {name}: {seconds[name]:.2f} s, distance {values[name]:.5f}")
    print_ratios(ratios, "2.5 and 8" if full else "10 and 30")
    return {"seconds": seconds, "distances": values, "ratios": ratios}


def features(n: int, seed: int) -> Tensor:
    """Rows that are correlated as a network's are: positive, and with principal variances that fall as a power."""
    spectrum = torch.arange(1, FEATURES + 1).double().pow(-0.6)
    turn = torch.linalg.qr(torch.randn(FEATURES, FEATURES, generator=torch.Generator().manual_seed(0)).double())[0]
    normal = torch.randn(n, FEATURES, generator=torch.Generator().manual_seed(1 + seed)).double()
    return (0.4 + 0.02 * seed + (normal * spectrum) @ turn.mT).relu()


# -- the time an epoch loses ---------------------------------------------------------------------------------------


def epoch() -> Figures:
    """configs/digits/vae.yaml with every callback that fits its model, at default intervals: what an epoch loses."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    fit([], 2), fit(watchers(), 2)
    without, together, costs = [], [], {}
    for _ in range(3):
        without.append(statistics.mean(fit([], EPOCHS)))
        watching = watchers()
        clocks = {type(callback).__name__: clock(callback) for callback in watching}
        together.append(statistics.mean(fit(watching, EPOCHS)))
        for name, times in clocks.items():
            costs.setdefault(name, []).append(sum(times))
    base = statistics.median(without)
    lost = statistics.median(b - a for a, b in zip(without, together, strict=True)) / base
    rows = {}
    for callback in watchers():
        name, every = type(callback).__name__, callback.every_n_epochs
        per_epoch = statistics.median(costs[name]) / EPOCHS
        reports = 0 if name == "InferenceGaps" else EPOCHS // every
        report = 1e3 * per_epoch * EPOCHS / max(reports, 1)
        rows[name] = {"every": every, "ms a report": report, "lost": per_epoch / base}
        print(f"{name}: every {every} epochs, {report:.1f} ms a report, {per_epoch / base:.2%}")
    inside = sum(row["lost"] for row in rows.values())
    print(f"an epoch takes {1e3 * base:.1f} ms, loses {lost:.1%} to {len(rows)} callbacks, {inside:.1%} in their hooks")
    return {"epoch, ms": 1e3 * base, "lost": lost, "lost in their hooks": inside, "callbacks": rows}


def watchers() -> list[Any]:
    """All that fit a VAE of images with 16 Gaussian units; for FID a network of one layer in place of Inception."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 16))
    fid = callbacks.FrechetInceptionDistance(features=network, cache=tempfile.mkdtemp())
    names = (
        *("LogLikelihood", "ActiveUnits", "ELBOSurgery", "CollapseWatch", "SmoothKNN", "HenzeZirkler", "Consistency"),
        *("InferenceGaps", "Samples", "Reconstructions", "Interpolations", "Traversals", "LatentScatter"),
    )
    return [getattr(callbacks, name)() for name in names] + [fid]


def clock(callback: pl.Callback) -> list[float]:
    """The processor seconds of each call of its evaluation hooks, as they come."""
    times: list[float] = []

    def timed(hook: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        began = time.process_time()
        hook(*args, **kwargs)
        times.append(time.process_time() - began)

    for name in ("on_validation_epoch_start", "on_validation_batch_end", "on_validation_epoch_end"):
        setattr(callback, name, partial(timed, getattr(callback, name)))
    return times


class Clock(pl.Callback):
    """Processor seconds of each epoch with its validation, logs and checkpoints."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def on_train_epoch_start(self, *_: object) -> None:
        self.ticks.append(time.process_time())

    def on_train_end(self, *_: object) -> None:
        self.ticks.append(time.process_time())


def fit(watching: list[Any], epochs: int) -> list[float]:
    """Processor seconds of each epoch, in the Trainer as the command sets it up."""
    torch.manual_seed(0)
    hidden, ticking = partial(MLP, hidden=[200, 200]), Clock()
    objective = ELBO(Reparameterised())
    module = GaussianVAE(16, Bernoulli((1, 8, 8)), encoder=hidden, decoder=hidden, objective=objective)
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        bar = RichProgressBar(refresh_rate=10, console_kwargs={"file": nowhere})
        best = ModelCheckpoint(filename="best", monitor="val/nelbo", enable_version_counter=False)
        all_callbacks = [*watching, bar, callbacks.MetricsFile(), best, callbacks.LastCheckpoint(), ticking]
        run = trainer(folder, max_epochs=epochs, accelerator="cpu", callbacks=all_callbacks)
        run.fit(module, Digits(DynamicBinarisation()))
    return [after - before for before, after in zip(ticking.ticks, ticking.ticks[1:], strict=False)]


def print_ratios(ratios: Mapping[str, float], aim: str) -> None:
    """One line."""
    print("    " + ", ".join(f"{name} {value:.2f}" for name, value in ratios.items()) + f" (aim: {aim})")


PARTS = {"likelihood": likelihood, "surgery": surgery, "frechet": frechet, "epoch": epoch}


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    keep_large_buffers()
    target = Path(__file__).with_suffix(".json")
    results: Figures = json.loads(target.read_text()) if target.exists() else {}
    for name in names or list(PARTS):
        print(f"-- {name}; others keep {os.getloadavg()[0]:.1f} processors busy")
        results[name] = {"load average before": os.getloadavg()[0]} | PARTS[name]()
        target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
