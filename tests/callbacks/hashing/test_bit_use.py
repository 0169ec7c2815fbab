"""BitUse against sums over documents by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scipy import stats
from support.models import NUM_BITS, digits, events, gaussian_vae, hashing, newsgroups, trainer

from vae_lightning.callbacks import BitUse
from vae_lightning.callbacks.hashing.bit_use import BitEntropies
from vae_lightning.families import Bernoulli, BernoulliMRF
from vae_lightning.models import MRFVAE, HashingVAE


def entropy(p: torch.Tensor) -> torch.Tensor:
    """In bits, by scipy."""
    p = p.double()
    return torch.from_numpy(stats.entropy(torch.stack((p, 1 - p)).numpy(), base=2))


def test_uneven_batches_by_hand() -> None:
    torch.manual_seed(0)
    p = torch.rand(11, 4)
    metric = BitEntropies(4)
    for batch in p.split(4):
        metric.update(batch)
    use, marginal, conditional = metric.compute()
    torch.testing.assert_close(use, p.double().mean(0))
    torch.testing.assert_close(marginal, entropy(p.double().mean(0)))
    torch.testing.assert_close(conditional, entropy(p).mean(0))


def test_dead_sure_and_undecided_bits() -> None:
    """A bit that is never on and one that always is have no entropy; a sure one of even use has 1 bit of it."""
    metric = BitEntropies(4)
    metric.update(torch.tensor([[0.0, 1.0, 0.0, 0.5], [0.0, 1.0, 1.0, 0.5]]))
    use, marginal, conditional = metric.compute()
    assert use.tolist() == [0, 1, 0.5, 0.5]
    assert marginal.tolist() == [0, 0, 1, 1]
    assert conditional.tolist() == [0, 0, 0, 1]


def probabilities(module: HashingVAE, data_split: object) -> torch.Tensor:
    network = module.model.encoder.network
    return (data_split.x.dense(80) @ network.weight + network.bias).sigmoid().detach()  # type: ignore[attr-defined]


def test_logs_the_figures_of_the_split_and_a_histogram(miniature: Path, tmp_path: Path) -> None:
    module, data, run = hashing(), newsgroups(miniature), trainer(BitUse(), folder=tmp_path)
    with torch.no_grad():
        module.model.encoder.network.weight.normal_(0, 0.3)
        module.model.encoder.network.bias[0] = -1000.0  # dead
    (logged,) = run.test(module, datamodule=data, verbose=False)
    p = probabilities(module, data.test)
    assert len(p) == 61
    assert logged["test/bit_entropy"] == pytest.approx(float(entropy(p.double().mean(0)).mean()), rel=1e-5)
    assert logged["test/bit_uncertainty"] == pytest.approx(float(entropy(p).mean()), rel=1e-5)
    assert logged["test/bit_entropy"] <= (NUM_BITS - 1) / NUM_BITS
    (histogram,) = events(Path(run.log_dir)).Histograms("test/bit_use")
    assert histogram.histogram_value.num == NUM_BITS
    assert histogram.histogram_value.min == 0
    assert histogram.histogram_value.sum == pytest.approx(float(p.mean(0).sum()), rel=1e-5)


def test_bits_that_are_no_hash(tmp_path: Path) -> None:
    """Coupled ones as well; Gaussian codes are refused."""
    torch.manual_seed(0)
    module, data = MRFVAE(BernoulliMRF(2, 1), Bernoulli((1, 8, 8))), digits()
    (logged,) = trainer(BitUse()).test(module, datamodule=data, verbose=False)
    with torch.no_grad():
        p = module.model.encoder(data.test.x).mean
    assert logged["test/bit_uncertainty"] == pytest.approx(float(entropy(p).mean()), rel=1e-5)
    with pytest.raises(TypeError, match="BitUse needs codes of bits, and those of GaussianVAE are not"):
        trainer(BitUse()).test(gaussian_vae(), datamodule=data, verbose=False)
