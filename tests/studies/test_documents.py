"""`reproduce documents`: both kinds of models in a small world, each read as the other; the files; going on."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from support.models import NUM_WORDS, digits, hashing, newsgroups, trainer

from vae_lightning.families import Bernoulli, Multinomial
from vae_lightning.families.enumeration import states
from vae_lightning.models import RBM
from vae_lightning.studies.documents import DocumentsStudy
from vae_lightning.studies.documents.cell import DocumentsSize
from vae_lightning.studies.documents.claim import rbm_of, vae_of
from vae_lightning.studies.documents.domains import Domain, text
from vae_lightning.studies.documents.domains import digits as digits_domain
from vae_lightning.studies.documents.fewer import Fewer
from vae_lightning.studies.documents.training import start_as_a_vae

TINY = DocumentsSize({"text": 7, "digits": 4}, 1, 2, (3,), {"text": (20,), "digits": (30,)}, 4, 4, 10, few_bits=4)


@pytest.fixture(scope="module")
def study(miniature: Path) -> DocumentsStudy:
    small = Domain("digits", digits, digits_domain().models)
    domains = {"text": text(partial(newsgroups, miniature)), "digits": small}
    return DocumentsStudy("quick", 3, TINY, domains)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, study: DocumentsStudy) -> Path:
    out = tmp_path_factory.mktemp("study") / "documents"
    study.reproduce(out)
    return out


def test_rows_are_means_over_seeds_with_their_error(folder: Path) -> None:
    rows = {(row["cell"], row["metric"]): row for row in json.loads((folder / "results.json").read_text())}
    row = rows["text, 3 bits: VAE, read as an RBM", "log_likelihood"]
    paths = [folder / "cells" / "text" / "VAE" / "3-bits-all" / f"seed-{seed}" / "figures.json" for seed in (3, 4)]
    first, second = (json.loads(path.read_text())["figures"]["as_rbm/log_likelihood"] for path in paths)
    assert row["value"] == pytest.approx((first + second) / 2)
    assert row["stderr"] == pytest.approx(abs(first - second) / 2)
    cells = {cell for cell, _ in rows}
    assert {"text, 3 bits: RBM", "text, 4 bits: RBM, bias scaled by length", "text, 4 bits: VAE, N = 20"} <= cells
    assert {"text, 3 bits: RBM, persistent chains", "text, 4 bits: RBM, persistent chains, N = 20"} <= cells
    assert {
        "digits, 4 bits: VAE, deep decoder, N = 30",
        "digits, 4 bits: RBM, N = 30",
        "text, 3 bits: RBM, read as a VAE",
    } <= cells


def test_both_count_a_documents_orders(folder: Path, miniature: Path) -> None:
    """log p(x) has log l!/prod x_k! in it, perplexity has not; the saturated multinomial bounds every model."""
    data = newsgroups(miniature)
    data.setup()
    x = data.test.x
    best = float((x.log_arrangements + x.log_saturated).mean())
    for path in folder.glob("cells/text/*/*/*/figures.json"):
        found = json.loads(path.read_text())["figures"]
        word = (float(x.log_arrangements.mean()) - found["log_likelihood"]) / float(x.total.mean())
        assert found["perplexity"] == pytest.approx(math.exp(word), rel=1e-4)
        assert found["log_likelihood"] < best
        assert found["perplexity"] < NUM_WORDS
        assert found.get("elbo", -math.inf) < found["log_likelihood"] + 0.5
        assert 0 < found["precision"] < 1


def test_files(folder: Path) -> None:
    table = (folder / "table.md").read_text()
    assert all(f"- {name}: " in table for name in ("scale", "seeds", "steps a cell, text", "version", "machine"))
    assert (folder / "documents.png").stat().st_size > 10_000
    assert list((folder / "tensorboard").glob("events*"))


def test_finished_cells_are_not_run_again(folder: Path, study: DocumentsStudy) -> None:
    before = (folder / "results.json").read_text()
    with patch.object(DocumentsStudy, "run") as run:
        study.reproduce(folder)
    run.assert_not_called()
    assert (folder / "results.json").read_text() == before


def test_an_rbm_that_starts_where_the_vae_does_is_not_started_anew(miniature: Path) -> None:
    data = Fewer(newsgroups(miniature), 20, seed=1)
    data.setup()
    x, rbm = data.train.x, RBM(Multinomial(NUM_WORDS), Bernoulli(3))
    start_as_a_vae(rbm, data, x)
    counts = 1 + x.dense(NUM_WORDS).sum(0)
    torch.testing.assert_close(rbm.model.visible_bias.detach().softmax(0), counts / counts.sum())
    before = rbm.model.visible_bias.detach().clone()
    trainer(limit_train_batches=0, limit_val_batches=0).fit(rbm, data)
    assert torch.equal(rbm.model.visible_bias, before)


def test_an_rbm_and_the_vae_of_it_differ_by_the_prior_alone(miniature: Path) -> None:
    """log p(x, z) - log p(z) is the same of both, and so is the posterior's relation to x."""
    data = newsgroups(miniature)
    data.setup()
    x, _ = data.test.batch(torch.arange(7))
    torch.manual_seed(0)
    rbm = RBM(Multinomial(NUM_WORDS), Bernoulli(3))
    for parameter in rbm.model.parameters():
        parameter.data.normal_()
    vae = vae_of(rbm)
    torch.testing.assert_close(vae.model.encoder(x).base_dist.logits, rbm.model.hidden_natural(x))
    z = torch.tensor([0.0, 1.0, 1.0]).expand(7, 3)
    expected = rbm.model.visible_given(z).log_prob(x)
    torch.testing.assert_close(vae.model.decoder(z).log_prob(x), expected, rtol=1e-4, atol=1e-3)


def test_a_vae_whose_partition_is_affine_is_an_rbm(miniature: Path) -> None:
    """Each bit has words of its own, whose total probability it leaves alone: then A(z) is affine, and p(z) uniform."""
    data = newsgroups(miniature)
    data.setup()
    x = data.train.x
    vae = hashing()
    weight = torch.zeros(NUM_WORDS, 3)
    for bit in range(3):
        up, down = 2 * bit, 2 * bit + 1
        weight[up, bit], weight[down, bit] = math.log(1.5), math.log(0.5)
    vae.model.decoder.network.output.weight.data = weight + 0.3  # which changes no p(x | z)
    vae.model.decoder.network.output.bias.data.zero_()
    rbm, curvature = rbm_of(vae, x)
    assert curvature < 1e-6
    z = states(Bernoulli(3)).numbered(torch.arange(8), torch.zeros(()))[:, None].expand(8, len(x), 3)
    exact = (vae.model.decoder(z).log_prob(x) - 3 * math.log(2)).logsumexp(0)
    torch.testing.assert_close(rbm.model.log_prob(x), exact, rtol=1e-4, atol=1e-2)


def test_fewer_contain_those_that_are_fewer_still() -> None:
    sets = []
    for n in (10, 30, None):
        data = Fewer(digits(), n, seed=1)
        data.setup()
        sets.append(set(data.train.ids.tolist()))
        assert len(data.val) == 61
    assert len(sets[0]) == 10
    assert sets[0] < sets[1] < sets[2]
    with pytest.raises(ValueError, match="1 to all 200 training observations, got n=201"):
        Fewer(digits(), 201, seed=1).setup()


def test_of_some_cells_the_seeds_that_they_have_are_named(study: DocumentsStudy) -> None:
    found = {repeat: {"log_likelihood": -1.0} for repeat in study.all_cells()}
    assert study.settings(found)["seeds"] == "3, 4"
    assert study.settings({repeat: each for repeat, each in found.items() if repeat.seed == 4})["seeds"] == "4"
