"""HashingVAE on five words and three bits: every figure by enumeration and by scipy; what fit, save and load do."""

from __future__ import annotations

import itertools
import math
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from support.command import HASHING, command, on_miniature
from support.models import hashing, newsgroups, trainer
from torch import Tensor

from vae_lightning.construction.hyperparameters import is_plain
from vae_lightning.counts import Counts
from vae_lightning.data.loaders import EvaluationLoader, Observations
from vae_lightning.data.orders import EvaluationOrder
from vae_lightning.estimators import DisARM, Enumerated
from vae_lightning.models import HashingVAE
from vae_lightning.nn import TFIDF, BagOfWordsMLP, WordFrequencies, WordLogits
from vae_lightning.objectives import ELBO

WORDS, BITS = 5, 3
CODES = torch.tensor(list(itertools.product((0.0, 1.0), repeat=BITS)))
DOCUMENTS = torch.tensor([[2.0, 0, 1, 0, 0], [0, 3, 0, 0, 4], [1, 1, 1, 1, 1]])
LABELS = torch.tensor([0, 1, 0])
BATCH = Counts.from_dense(DOCUMENTS), LABELS


def toy(**changes: object) -> HashingVAE:
    module = hashing(**{"num_bits": BITS, "num_words": WORDS} | changes)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.7)
    return module


def word_probabilities(module: HashingVAE, z: Tensor) -> np.ndarray:
    """Softmax(W z + b) by numpy."""
    output = module.model.decoder.network.output
    eta = z.numpy().astype(float) @ output.weight.detach().numpy().T + output.bias.detach().numpy()
    exp = np.exp(eta - eta.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


def log_likelihood(module: HashingVAE, z: Tensor) -> Tensor:
    """Log p(x | z) of each document under codes z (S, B, bits) by scipy, (S, B)."""
    x = DOCUMENTS.numpy()
    return torch.from_numpy(stats.multinomial.logpmf(x, x.sum(-1), word_probabilities(module, z)))


def posterior(module: HashingVAE) -> Tensor:
    """P(z = 1 | x), from the encoder's weights."""
    network = module.model.encoder.network
    return (DOCUMENTS @ network.weight + network.bias).sigmoid().detach().double()


def kl(module: HashingVAE) -> Tensor:
    """From the uniform prior: m log 2 minus the entropy of the bits."""
    return BITS * math.log(2) - torch.from_numpy(stats.bernoulli.entropy(posterior(module).numpy())).sum(-1)


def test_figures_of_a_draw_by_scipy() -> None:
    module = toy(evaluation_samples=7)
    draw = module.evaluate(BATCH, 0)
    figures = module.figures(draw)
    assert draw.z.shape == (7, 3, BITS)
    reconstruction = -log_likelihood(module, draw.z).mean(0)
    x = DOCUMENTS.numpy()
    saturated = torch.from_numpy(stats.multinomial.logpmf(x, x.sum(-1), x / x.sum(-1, keepdims=True)))
    expected = {
        "reconstruction": reconstruction,
        "kl": kl(module),
        "nelbo": reconstruction + kl(module),
        "deviance": reconstruction + kl(module) + saturated,
        "words": DOCUMENTS.sum(-1).double(),
    }
    for name, value in expected.items():
        torch.testing.assert_close(figures[name].double(), value, rtol=1e-5, atol=1e-5, msg=name)


def test_nelbo_by_enumeration() -> None:
    """Within 4 standard errors of -(E_q log p(x | z) - KL), the expectation over all eight codes."""
    module = toy(evaluation_samples=20_000)
    draw = module.evaluate(BATCH, 0)
    p = posterior(module)
    terms = log_likelihood(module, CODES[:, None].expand(-1, 3, -1))
    q = torch.where(CODES[:, None] == 1, p, 1 - p).prod(-1)
    expected = -(q * terms).sum(0) + kl(module)
    error = draw.log_likelihood.double().std(0) / math.sqrt(20_000)
    assert ((module.figures(draw)["nelbo"] - expected).abs() < 4 * error).all()


def test_test_figures_are_means_over_documents_of_uneven_batches() -> None:
    module = toy()
    loader = EvaluationLoader(Observations.numbered(*BATCH), EvaluationOrder(3, 2))
    (logged,) = trainer().test(module, dataloaders=loader, verbose=False)
    draws = [module.evaluate(batch, index) for index, batch in enumerate(loader)]
    reconstruction = -torch.cat([draw.log_likelihood.mean(0) for draw in draws]).double()
    assert logged["test/reconstruction"] == pytest.approx(float(reconstruction.mean()), rel=1e-5)
    assert logged["test/kl"] == pytest.approx(float(kl(module).mean()), rel=1e-5)
    assert logged["test/nelbo"] == pytest.approx(logged["test/reconstruction"] + logged["test/kl"], rel=1e-6)
    # p(x | z) of the words in their order: without l! / prod x_k!
    arrangements = [math.log(math.factorial(int(x.sum())) / math.prod(map(math.factorial, x.int()))) for x in DOCUMENTS]
    nats = reconstruction.sum() + kl(module).sum() + sum(arrangements)
    assert logged["test/perplexity"] == pytest.approx(float((nats / DOCUMENTS.sum()).exp()), rel=1e-5)


def test_the_perplexity_of_uniform_words_is_their_number() -> None:
    module = hashing(num_bits=BITS, num_words=WORDS)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    module.averages.update(module.figures(module.evaluate(BATCH, 0)))
    assert module.summary(module.averages.compute())["perplexity"] == pytest.approx(WORDS, rel=1e-6)


def test_codes_are_the_mode_of_the_posterior() -> None:
    module = toy()
    assert torch.equal(module.hashes(BATCH[0]), posterior(module) > 0.5)
    assert torch.equal(module.predict_step(BATCH, 0), module.hashes(BATCH[0]))


def test_sampled_documents() -> None:
    """Lengths as the fitted log-normal, words as the mixture over all codes; means within 4 standard errors."""
    module, num = toy(), 20_000
    module.length_parameters.copy_(torch.tensor([3.5, 0.3]))
    torch.manual_seed(1)
    x = module.sample(num)
    assert len(x) == num
    dense = x.dense(WORDS)
    assert torch.equal(dense.sum(-1), x.total)
    assert torch.equal(dense, dense.round())
    assert (x.total >= 1).all()
    logs = x.total.double().log()
    # rounding e^3.5 = 33 words to a whole number moves the mean of the logarithm by less than 1e-4
    assert abs(logs.mean() - 3.5) < 4 * 0.3 / math.sqrt(num) + 1e-4
    assert abs(logs.std() - 0.3) < 4 * 0.3 / math.sqrt(2 * num) + 1e-3
    frequencies = (dense / x.total[:, None]).double()
    expected = word_probabilities(module, CODES).mean(0)
    assert ((frequencies.mean(0) - torch.from_numpy(expected)).abs() < 4 * frequencies.std(0) / math.sqrt(num)).all()
    # the words of one document share a code: their frequencies vary as the codes' do, not as independent words
    assert (frequencies.std(0) > 1.2 * (torch.from_numpy(expected * (1 - expected)) / 33).sqrt()).any()


def test_no_documents_and_short_ones() -> None:
    module = toy()
    assert len(module.sample(0)) == 0
    module.length_parameters.copy_(torch.tensor([-3.0, 0.1]))
    assert module.sample(4).total.tolist() == [1, 1, 1, 1]


def test_the_loss_is_a_pure_function_of_the_noise() -> None:
    module = toy()
    before = {name: value.clone() for name, value in module.state_dict().items()}

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return float(module.loss(BATCH, 0)[0].detach())

    assert loss(1) == loss(1)
    assert len({loss(seed) for seed in range(5)}) > 1
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_the_exact_loss_is_the_nelbo_and_its_deviance_is_relative_to_the_saturated_model() -> None:
    module = toy(objective=ELBO(Enumerated()), evaluation_samples=1)
    loss, figures = module.loss(BATCH, 0)
    p = posterior(module)
    q = torch.where(CODES[:, None] == 1, p, 1 - p).prod(-1)
    expected = kl(module) - (q * log_likelihood(module, CODES[:, None].expand(-1, 3, -1))).sum(0)
    assert loss.item() == pytest.approx(float(expected.mean()), rel=1e-5)
    draw = module.figures(module.evaluate(BATCH, 0))
    assert (loss - figures["deviance"]).item() == pytest.approx(
        float((draw["nelbo"] - draw["deviance"]).mean()), rel=1e-4
    )


@pytest.mark.parametrize(
    "change",
    [
        {"num_bits": 4},
        {"num_words": 6},
        {"encoder": partial(BagOfWordsMLP, features=WordFrequencies)},
        {"encoder": partial(BagOfWordsMLP, hidden=(4,))},
        {"decoder": partial(WordLogits, hidden=(4,))},
        {"objective": ELBO(DisARM(), beta=0.5)},
        {"objective": ELBO(DisARM(2))},
    ],
    ids=str,
)
def test_every_hyper_parameter_changes_the_loss(change: dict[str, object]) -> None:
    def loss(**changes: object) -> float:
        module = toy(**changes)
        torch.manual_seed(3)
        return float(module.loss(BATCH, 0)[0].detach())

    assert loss(**change) != pytest.approx(loss(), rel=1e-4)


def counted(x: Counts) -> Tensor:
    return torch.stack([sum(x.values[x.indices == word]) for word in range(80)])  # type: ignore[arg-type]


def test_fit_starts_from_the_training_documents_alone(miniature: Path) -> None:
    """With a learning rate of 0 the decoder's bias, the document frequencies and the lengths stay as `fit` set them."""
    still = partial(torch.optim.SGD, lr=0.0)
    module, data = hashing(encoder=partial(BagOfWordsMLP, features=TFIDF), optimizer=still), newsgroups(miniature)
    trainer().fit(module, datamodule=data)
    train = data.train.x
    dense = train.dense(80)
    assert len(train) == 100
    counts = counted(train) + 1
    torch.testing.assert_close(module.model.decoder.network.output.bias.detach(), (counts / counts.sum()).log())
    holding = (dense > 0).sum(0)
    idf = torch.where(holding > 0, (100 / holding).log(), math.log(101))
    torch.testing.assert_close(module.model.encoder.network.features.inverse_document_frequency, idf)
    logs = dense.sum(-1).log()
    torch.testing.assert_close(module.length_parameters, torch.stack([logs.mean(), logs.std(correction=0)]))


def test_evaluation_does_not_start_anything_anew(miniature: Path) -> None:
    module = hashing()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    trainer().test(module, datamodule=newsgroups(miniature), verbose=False)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("saved", [False, True], ids=["the same object", "from a checkpoint"])
def test_a_second_fit_goes_on_from_what_was_learnt(saved: bool, miniature: Path, tmp_path: Path) -> None:
    """Only a new model starts from the words' frequencies."""
    module, data = hashing(optimizer=partial(torch.optim.SGD, lr=0.1)), newsgroups(miniature)
    first = trainer()
    first.fit(module, datamodule=data)
    if saved:
        first.save_checkpoint(tmp_path / "model.ckpt")
        module = HashingVAE.load_from_checkpoint(tmp_path / "model.ckpt")
    learnt = module.model.decoder.network.output.bias.detach().clone()
    module.optimizer = partial(torch.optim.SGD, lr=0.0)
    trainer().fit(module, datamodule=data)
    assert torch.equal(module.model.decoder.network.output.bias, learnt)


def test_a_vocabulary_of_another_size_is_refused(miniature: Path) -> None:
    for run in (trainer().fit, trainer().validate, trainer().test, trainer().predict):
        with pytest.raises(
            ValueError, match=r"the model has 80 words but the data 70; set model\.init_args\.num_words"
        ):
            run(hashing(), datamodule=newsgroups(miniature, num_words=70))


def test_hyper_parameters_of_a_model_made_in_python_are_plain(miniature: Path, tmp_path: Path) -> None:
    encoder = partial(BagOfWordsMLP, hidden=(4,))
    module, run = hashing(encoder=encoder, evaluation_samples=2, objective=ELBO(DisARM())), trainer()
    run.fit(module, datamodule=newsgroups(miniature))
    run.save_checkpoint(tmp_path / "model.ckpt")
    parameters = torch.load(tmp_path / "model.ckpt", weights_only=True)["hyper_parameters"]
    assert is_plain(dict(parameters))
    assert {"num_bits": 3, "num_words": 80, "evaluation_samples": 2}.items() <= parameters.items()
    # without the encoder another network of the same size could take its place, and nobody would notice
    assert parameters["encoder"] == {"class_path": "vae_lightning.nn.BagOfWordsMLP", "init_args": {"hidden": [4]}}
    given = HashingVAE.load_from_checkpoint(tmp_path / "model.ckpt", encoder=encoder, objective=module.objective)
    assert str(given) == str(module)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        loaded = HashingVAE.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in loaded.state_dict().items())
    x = newsgroups(miniature)
    x.setup()
    assert torch.equal(loaded.hashes(x.test.x), module.hashes(x.test.x))


def test_a_checkpoint_of_the_command_knows_its_own_model(miniature: Path, tmp_path: Path) -> None:
    changes = ["--model.num_bits", "5", "--model.encoder.hidden", "[7]", "--model.objective.beta", "0.5"]
    changes += ["--trainer.max_epochs", "1", "--model.evaluation_samples", "3"]
    command("fit", "--config", HASHING, *on_miniature(miniature, tmp_path), *changes)
    checkpoint = tmp_path / "version_0" / "checkpoints" / "best.ckpt"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = HashingVAE.load_from_checkpoint(checkpoint)
    assert (model.num_bits, model.num_words, model.evaluation_samples) == (5, 80, 3)
    assert model.model.encoder.network.weight.shape == (80, 7)
    assert model.objective.beta == 0.5
    assert isinstance(model.objective.estimator, DisARM)
    assert is_plain(dict(torch.load(checkpoint, weights_only=True)["hyper_parameters"]))


@pytest.mark.parametrize("bad", [{"num_bits": 0}, {"num_words": 1}, {"evaluation_samples": 0}], ids=str)
def test_what_cannot_be_built(bad: dict[str, int]) -> None:
    (value,) = bad.values()
    with pytest.raises(ValueError, match=f"got {value}"):
        HashingVAE(**{"num_words": 10} | bad)
