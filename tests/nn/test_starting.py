"""What starts from the training data: layers of the project and of one's own, shown them in any model."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from support.models import digits, trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vae_lightning.counts import Counts
from vae_lightning.data import Observations
from vae_lightning.estimators import DisARM, Reparameterised
from vae_lightning.families import Bernoulli, Multinomial, Normal
from vae_lightning.models import HVAE, VAE, GaussianVAE
from vae_lightning.nn import MLP, BagOfWordsMLP, ScaledFrequencies, StartsFromData, TrainingData, WordLogits
from vae_lightning.objectives import ELBO
from vae_lightning.priors import AggregatedPosterior, FactorisedPrior, VampPrior


class Standardised(MLP):
    """A layer of one's own, that learns the mean of what it reads."""

    mean: Tensor

    def __init__(self, context_shape, num_outputs: int) -> None:
        super().__init__(context_shape, num_outputs)
        self.register_buffer("mean", torch.zeros(context_shape))
        self.starts = 0

    def start_from(self, data: TrainingData) -> None:
        assert isinstance(data.x, Tensor)
        self.mean.copy_(data.x.mean(0))
        self.starts += 1

    def forward(self, c: Tensor) -> Tensor:
        return super().forward(c - self.mean)


def test_a_layer_of_ones_own_is_shown_the_training_data_once() -> None:
    module, data = GaussianVAE(2, Normal((1, 8, 8), 0.1), encoder=Standardised), digits()
    for _ in range(2):
        trainer(max_steps=1).fit(module, data)
    layer = module.model.encoder.network
    assert layer.starts == 1
    torch.testing.assert_close(layer.mean, data.train.x.mean(0))


def test_layers_of_documents_start_in_any_model() -> None:
    x = Counts.from_dense(torch.tensor([[3.0, 0.0, 1.0], [0.0, 8.0, 0.0]]))

    class Data:
        train = Observations.numbered(x, torch.zeros(2))

    assert Data.train.limits == (0, 8)
    encoder = partial(BagOfWordsMLP, features=ScaledFrequencies)
    module = VAE(Bernoulli(2), Multinomial(3), encoder, WordLogits, ELBO(DisARM()))
    module.start(Data())
    assert module.model.encoder.network.features.scale == 6
    counted = torch.tensor([4.0, 9.0, 2.0])
    torch.testing.assert_close(module.model.decoder.network.output.bias, (counted / counted.sum()).log())


def test_the_prior_on_top_starts_from_the_data() -> None:
    module, data = HVAE((2, 3), Normal((1, 8, 8), 0.1), prior=VampPrior(2, (1, 8, 8), 4)), digits()
    data.setup("fit")
    module.start(data)
    distances = torch.cdist(module.model.prior.top.inputs.flatten(1), data.train.x.flatten(1))
    assert distances.amin(1).max() < 0.1  # each is an observation, but for what is drawn in from the edge


def test_what_starts_from_data_is_told_apart() -> None:
    priors = VampPrior(2, 4), AggregatedPosterior(2, 4), FactorisedPrior(Normal(2))
    assert [isinstance(prior, StartsFromData) for prior in priors] == [True, True, False]
    assert isinstance(WordLogits((2,), 3), StartsFromData)
    assert not isinstance(MLP((2,), 3), StartsFromData)
    assert not isinstance(nn.Linear(2, 3), StartsFromData)


def test_who_needs_the_training_data_says_so_by_name() -> None:
    module = GaussianVAE(2, Normal(2), encoder=Standardised, objective=ELBO(Reparameterised()))
    with pytest.raises(ValueError, match="Standardised starts from the training data: fit with a data module"):
        trainer().fit(module, DataLoader([(torch.zeros(2), 0)]))
    with pytest.raises(TypeError, match=r"documents are sparse, got a Tensor: use Counts\.from_dense"):
        WordLogits((2,), 3).start_from(Observations.numbered(torch.zeros(2, 3), torch.zeros(2)))
