"""RBM against VAE: documents and digits, the claim that the one is the other, and what both make of few data."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.progress import track

from vae_lightning.studies import Scale
from vae_lightning.studies.base import Report, Row, announce, wide
from vae_lightning.studies.cells import Account, Figures, finished
from vae_lightning.studies.documents_cell import Size, run_cell
from vae_lightning.studies.documents_figure import documents_figure
from vae_lightning.studies.documents_worlds import World, digits, text
from vae_lightning.studies.figures import publish

FEW_BITS = 16
"""Bits of the models of few data: the RBM's log Z is still exact."""

_BITS = (8, 16, 32, 64)
_FEW: tuple[int | None, ...] = (100, 300, 1000, None)
_MORE = {"text": (100, 300, 1000, 3000, None), "digits": _FEW}
SIZES: dict[Scale, Size] = {
    "quick": Size({"text": 300, "digits": 2000}, 3, 1, _BITS, {"text": (100, 1000, None), "digits": _FEW}, 10, 50, 200),
    "medium": Size({"text": 1700, "digits": 10_000}, 10, 1, _BITS, _MORE, 50, 100, 1000),
    "full": Size({"text": 6800, "digits": 40_000}, 20, 5, _BITS, _MORE, 200, 500, 3000),
}

WORLDS: dict[str, World] = {}
"""Worlds in place of the study's own, by name: tests have a smaller one."""

Key = tuple[str, str, int, int | None]
"""World, model, bits, training observations; None is all."""

METRICS = {
    "log_likelihood": "nats",
    "elbo": "nats",
    "perplexity": "a word",
    "elbo_perplexity": "a word",
    "precision": "at 100",
}
"""What is reported of the test split. All have log l!/prod x_k! in them, but for perplexities."""

READ_AS = {"as_rbm": "{}, read as an RBM", "tied": "{}, its encoder tied to the decoder", "as_vae": "{}, read as a VAE"}


def documents(scale: Scale, out: Path, seed: int) -> list[Row]:
    """Train every cell for every seed, choose the epoch by validation, and judge it on the test split, once.

    The claim: of text, the best VAE, linear in encoder and decoder, is a multinomial-Bernoulli RBM. So each is also
    judged as the other. The hypothesis: few data favour the RBM, and a VAE's pull towards it. So both are also trained
    on N observations. Both figures are nats an observation: log p(x), with the multinomial coefficient, a bound L_K of
    it for VAEs, exact or annealed for RBMs.

    Writes results.json, table.md, documents.png, checkpoints and TensorBoard logs into `out`; cells that are finished
    there are not run again. Returns the rows.
    """
    account, size = Account(out / "cells"), SIZES[scale]
    seeds, worlds = range(seed, seed + size.seeds), {"text": text, "digits": digits}
    made = {name: WORLDS[name] if name in WORLDS else make() for name, make in worlds.items()}
    keys = [key for key in cells(size) if key[1] in made[key[0]].models]
    figures: dict[Key, list[Figures]] = {key: [] for key in keys}
    for s, key in track([(s, key) for s in seeds for key in keys], "RBM against VAE"):
        world, model, bits, n = key
        folder = (
            out / "cells" / world / model.replace(",", "").replace(" ", "-") / f"{bits}-bits-{n or 'all'}" / f"seed-{s}"
        )
        settings: dict[str, str | int | float] = {"scale": scale, "seed": s, "steps": size.steps[world]}
        settings |= {"K": size.samples, "chains": size.chains, "AIS steps": size.ais_steps}
        run = partial(run_cell, made[world], model, bits, n, size, s, folder)
        figures[key].append(finished(folder, settings, run))
    rows = table(figures)
    publish(documents_figure(figures), out, "documents")
    provenance: dict[str, str | int | float] = {"scale": scale, "seeds": f"{seeds[0]} to {seeds[-1]}"}
    provenance |= {f"steps a cell, {name}": f"at least {steps}" for name, steps in size.steps.items()}
    provenance |= {
        "K of the VAEs' log-likelihood": size.samples,
        "AIS": f"{size.chains} chains, {size.ais_steps} steps",
    }
    report = Report("RBM against VAE: test split", rows, provenance | account.provenance(), wide)
    report.write(out)
    announce(report, out, "documents.png")
    return rows


def cells(size: Size) -> list[Key]:
    """Each once: text for every number of bits, the scaled bias at one of them, and the curves of few data."""
    names = ("RBM", "RBM, persistent chains", "VAE", "VAE, deep decoder")
    found: list[Key] = [("text", name, bits, None) for bits in size.bits for name in names[:3]]
    found.append(("text", "RBM, bias scaled by length", FEW_BITS, None))
    found += [(world, name, FEW_BITS, n) for world in size.few for n in size.few[world] for name in names]
    return list(dict.fromkeys(found))


def table(figures: Mapping[Key, Sequence[Figures]]) -> list[Row]:
    """Means over seeds with the error over seeds; of a single seed, with that over its test observations."""
    rows = []
    for key, runs in figures.items():
        for prefix, name in {"": "{}", **READ_AS}.items():
            start = f"{prefix}/" if prefix else ""
            for metric, unit in METRICS.items():
                if start + metric in runs[0] and not (metric == "precision" and key[3]):  # of 100 in few
                    value, error = mean(runs, start + metric)
                    rows.append(Row(name.format(title(key)), metric, value, error, None, unit))
    return rows


def mean(runs: Sequence[Figures], name: str) -> tuple[float, float | None]:
    """Of this figure, over seeds, with its error."""
    values = [run[name] for run in runs]
    if len(values) == 1:
        return values[0], runs[0].get(f"{name}_error")
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def title(key: Key) -> str:
    """As in the table."""
    world, model, bits, n = key
    return f"{world}, {bits} bits: {model}" + ("" if n is None else f", N = {n}")
