"""Held-out log-likelihood and imputation of two tables of scikit-learn, beside scikit-learn's own methods.

    OMP_NUM_THREADS=1 python benchmarks/tables.py            # figures in tables.json
    python benchmarks/tables.py --table                      # and the tables of RESULTS.md, from tables.json alone

Breast cancer (569 rows x 30) and wine (178 x 13). Each seed splits the rows into 60 % to train, 20 % to validate and
20 % to test, and standardises by the training rows; all methods get the same. Whatever has sizes to choose has them
chosen by the mean log-likelihood of the validation rows; the test rows are read once, after that.

Log-likelihood: nats a row, standardised. Imputation: 20 % of all entries are removed at random, also of the rows to
train on; figures are root mean squares over the removed entries of the test rows, in standardised units.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from comparisons import AsFast, AsLikely, Comparison, Costs, Row, main
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import FactorAnalysis
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (it makes the next import possible)
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.linear_model import BayesianRidge

from vae_lightning.data import Arrays
from vae_lightning.families import Normal, PartlyObserved
from vae_lightning.inference import imputed, scores
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import MLP, ScalePerDimension
from vae_lightning.randomness import seeded

TABLES = {"breast cancer": load_breast_cancer, "wine": load_wine}
SEEDS, SAMPLES, STEPS, MISSING = (0, 1, 2), 1000, 2000, 0.2
FACTORS = (1, 2, 4, 6, 8, 10, 12, 16, 20)  # of FactorAnalysis
HIDDEN: tuple[tuple[int, ...], ...] = ((), (32,))  # units of the decoder; its encoder has twice as many
FILE = Path(__file__).with_suffix(".json")


def split(name: str, seed: int, missing: bool) -> Arrays:
    """The table in three parts; with `missing`, a fifth of its entries is NaN."""
    x, y = TABLES[name](return_X_y=True)
    if missing:
        x = np.where(np.random.default_rng(seed).random(x.shape) < MISSING, np.nan, x)
    data = Arrays(x, y, standardise=True, missing=True, val_size=0.2, test_size=0.2, split_seed=seed)
    data.setup()
    return data


def vae(data: Arrays, hidden: tuple[int, ...], latent_dim: int, seed: int) -> GaussianVAE:
    """One noise a column; Adam, whose rate falls by half a cosine, and the weights that validation preferred."""
    torch.manual_seed(seed)
    module = GaussianVAE(
        latent_dim,
        PartlyObserved(Normal(data.observed_shape)),
        encoder=partial(MLP, hidden=tuple(2 * width for width in hidden), activation=torch.nn.Tanh),
        decoder=partial(ScalePerDimension, network=partial(MLP, hidden=hidden, activation=torch.nn.Tanh)),
    )
    adam = torch.optim.Adam(module.parameters(), lr=0.01)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(adam, STEPS)
    best, weights = float("-inf"), module.state_dict()
    for step in range(STEPS):
        rows = torch.randint(len(data.train.x), (64,))
        adam.zero_grad()
        module.loss((data.train.x[rows], rows), step)[0].backward()
        adam.step()
        slower.step()
        if step % 50 == 49 and (value := validation(module, data, 50)) > best:
            best, weights = value, copy.deepcopy(module.state_dict())
    module.load_state_dict(weights)
    return module


def validation(module: GaussianVAE, data: Arrays, num_samples: int) -> float:
    """The mean log p(x) of the validation rows, with noise of its own."""
    with seeded("validation"):
        return float(scores(module.model, data.val.x, num_samples).log_likelihood.mean())


def best_vae(data: Arrays, seed: int) -> tuple[GaussianVAE, str]:
    """That of the largest validation log-likelihood, and its sizes."""
    latent_dim = min(16, data.observed_shape[0] - 3)
    modules = {hidden: vae(data, hidden, latent_dim, seed) for hidden in HIDDEN}
    best = max(modules, key=lambda hidden: validation(modules[hidden], data, SAMPLES))
    return modules[best], f"{latent_dim} codes, {f'{best[0]} hidden' if best else 'linear'}"


def log_likelihood(name: str, seed: int) -> dict[str, object]:
    """Of complete test rows, with the error over samples, and that of the rows' differences from FactorAnalysis."""
    data = split(name, seed, missing=False)
    train, val, test = (part.x.numpy() for part in (data.train, data.val, data.test))
    models = [FactorAnalysis(number, random_state=seed).fit(train) for number in FACTORS if number < train.shape[1]]
    factors = max(models, key=lambda model: model.score(val))
    module, sizes = best_vae(data, seed)
    found = scores(module.model, data.test.x, SAMPLES)
    more = found.log_likelihood.numpy() - factors.score_samples(test)
    return {
        "GaussianVAE": float(found.log_likelihood.mean()),
        "GaussianVAE, error of sampling": float(found.stderr.square().sum().sqrt() / len(test)),
        "least effective sample size": float(found.effective_sample_size.min()),
        "FactorAnalysis": float(factors.score(test)),
        "GaussianVAE above FactorAnalysis": float(more.mean()),
        "its error over rows": float(more.std(ddof=1) / len(more) ** 0.5),
        "chosen": f"{sizes}; {factors.n_components} factors",
    }


def imputation(name: str, seed: int) -> dict[str, object]:
    """Root mean square errors at what was removed of the test rows, in units of the training rows' deviations."""
    data, whole = split(name, seed, missing=True), split(name, seed, missing=False)
    train, test = data.train.x.numpy(), data.test.x.numpy()
    truth = data.to_model(whole.to_original(whole.test.x)).numpy()
    away = np.isnan(test)
    module, sizes = best_vae(data, seed)
    found = imputed(module.model, data.test.x, SAMPLES)
    guesses = {
        "GaussianVAE": found.mean.numpy(),
        "IterativeImputer(BayesianRidge)": IterativeImputer(BayesianRidge(), random_state=seed)
        .fit(train)
        .transform(test),
        "KNNImputer": KNNImputer().fit(train).transform(test),
        "the mean": np.zeros_like(test),
    }
    errors = {method: float(np.sqrt(np.mean((x - truth)[away] ** 2))) for method, x in guesses.items()}
    return errors | {
        "GaussianVAE, error of sampling": float(found.stderr[found.missing].square().mean().sqrt()),
        "chosen": sizes,
    }


def table(rows: dict[str, dict[str, object]], figures: dict[str, int]) -> str:
    """Means over the seeds, with the least and the greatest."""
    lines = ["| | " + " | ".join(figures) + " | chosen |", "|---" * (len(figures) + 2) + "|"]
    for name in TABLES:
        if not (own := [row for key, row in rows.items() if key.startswith(name)]):
            continue
        cells = [_cell([float(str(row[figure])) for row in own], digits) for figure, digits in figures.items()]
        lines.append(f"| {name} | " + " | ".join(cells) + " | " + "; ".join(str(row["chosen"]) for row in own) + " |")
    return "\n".join(lines)


def _cell(values: list[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


LIKELIHOOD = {"GaussianVAE": 2, "FactorAnalysis": 2, "GaussianVAE above FactorAnalysis": 2, "its error over rows": 2,
              "GaussianVAE, error of sampling": 3, "least effective sample size": 0}  # fmt: skip
IMPUTATION = {"GaussianVAE": 3, "IterativeImputer(BayesianRidge)": 3, "KNNImputer": 3, "the mean": 3}


def held(quick: bool) -> dict[str, dict[str, dict[str, object]]]:
    """All rows, those measured first that tables.json does not have."""
    found = json.loads(FILE.read_text()) if FILE.exists() else {"log_likelihood": {}, "imputation": {}}
    for what, of in (("log_likelihood", log_likelihood), ("imputation", imputation)):
        for name in TABLES:
            for seed in () if quick else SEEDS:
                if (key := f"{name}, seed {seed}") not in found[what]:
                    commit = subprocess.run(
                        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
                    )
                    found[what][key] = of(name, seed) | {"commit": commit.stdout.strip()}
                    FILE.write_text(json.dumps(found, indent=1) + "\n")
    return found


def tables(asked: argparse.Namespace) -> Iterator[Row]:
    """Ours beside scikit-learn's, seed by seed."""
    found = held(asked.quick or asked.table)
    if asked.table:
        print("log p(x), nats a row\n" + table(found["log_likelihood"], LIKELIHOOD), "\n")
        print("RMSE of what is missing\n" + table(found["imputation"], IMPUTATION))
    for name in TABLES:
        likely = by_method(found["log_likelihood"], name)
        work = f"held-out rows of {name}, times as likely"
        note = "kept in tables.json"
        yield Comparison(work, "GaussianVAE", "FactorAnalysis", AsLikely(), "nats a row", note=note).row(likely)
        errors = by_method(found["imputation"], name)
        for other in list(IMPUTATION)[1:]:
            yield Comparison(f"imputation of {name}", "GaussianVAE", other, AsFast(), "RMSE", note=note).row(errors)


def by_method(rows: dict[str, dict[str, object]], name: str) -> Costs:
    """The figures of a table, seed by seed."""
    own = [row for key, row in rows.items() if key.startswith(name)]
    return {method: [float(str(row[method])) for row in own] for method in own[0] if isinstance(own[0][method], float)}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", action="store_true", help="print the tables of what tables.json holds, too")


if __name__ == "__main__":
    main({"tables": tables}, __doc__, options)
