"""HashingVAE: documents as bags of words -> binary codes (semantic hashing)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Size, Tensor
from torch.distributions import Distribution, LogNormal

from vae_lightning.answers.hashing import most_probable, text_model
from vae_lightning.batches import Batch, observations
from vae_lightning.conditional import Network, as_conditional
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.counts import Counts
from vae_lightning.data.protocols import HasLengths, vocabulary_size
from vae_lightning.distributions import component
from vae_lightning.estimators import DisARM
from vae_lightning.families.multinomial import log_multinomial_coefficient, saturated_log_likelihood
from vae_lightning.latent_variable import Draw
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.models.optimizers import adam
from vae_lightning.nn import BagOfWordsMLP, WordLogits
from vae_lightning.objectives import ELBO, Objective


class HashingVAE(LatentVariableModule):
    """Bernoulli VAE of text (Shekhovtsov et al. 2022, section 3.1): q(z | x) m bits, p(x | z) a multinomial.

    Figures, per document: `nelbo` in nats with the multinomial's base measure; `deviance`, the NELBO relative to the
    saturated multinomial (each document under its own word frequencies), the one to hold against the paper's Table 2;
    `reconstruction` = -E log p(x | z) and `kl`, which add up to `nelbo`; `perplexity` per word, exp of the NELBO
    without base measure over the number of words.

    Args:
        num_bits: m, the length of a code.
        num_words: size of the vocabulary, `data.num_words`; the command takes the data's where it is left out.
        encoder: builds the network from counts to the m logits: `vae_lightning.nn.BagOfWordsMLP` with features and
            hidden layers to choose (e1: counts, none; e2: frequencies, [512, 512]; e3: frequencies, none).
        decoder: builds the network from codes to the words' logits: `vae_lightning.nn.WordLogits`; hidden: [] is the
            linear decoder.
        objective: what training maximises; by default the ELBO with one pair of DisARM.
        optimizer: builds the optimizer from the parameters.
        scheduler: builds a learning-rate scheduler, stepped every epoch (or step: `models.EveryStep`).
        evaluation_samples: codes drawn per document in validation and test.

    Examples:
        >>> import torch
        >>> from vae_lightning.counts import Counts
        >>> from vae_lightning.models import HashingVAE
        >>> vae = HashingVAE(num_bits=8, num_words=100)
        >>> x = Counts.from_dense(torch.ones(5, 100))
        >>> vae.predict_step((x, torch.zeros(5)), 0).shape  # the hashes of five documents
        torch.Size([5, 8])
    """

    figure_names = ("nelbo", "deviance", "reconstruction", "kl", "word_nats", "words")
    length_parameters: Tensor

    def __init__(
        self,
        num_bits: int = 8,
        num_words: int | None = None,
        encoder: Network = BagOfWordsMLP,
        decoder: Network = WordLogits,
        objective: Objective | None = None,
        optimizer: OptimizerCallable = adam,
        scheduler: LRSchedulerCallable | None = None,
        evaluation_samples: int = 1,
    ) -> None:
        check_kinds(HashingVAE, locals())
        if num_bits < 1:
            raise ValueError(f"num_bits is the length of a code and must be at least 1, got {num_bits}")
        if num_words is None:
            raise ValueError("HashingVAE needs the size of the vocabulary: give num_words=data.num_words")
        model = text_model(num_bits, num_words, encoder, decoder)
        super().__init__(model, objective or ELBO(DisARM()), optimizer, scheduler, evaluation_samples)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        self.num_bits, self.num_words = num_bits, num_words
        self.register_buffer("length_parameters", torch.tensor([4.5, 1.0]))

    def start(self, data: object) -> None:
        """Show the layers the training documents, keep the law of their lengths; ValueError for data without."""
        if not isinstance(data, HasLengths):
            raise ValueError(
                "HashingVAE starts from the training documents: fit it with a data module that has them as train.x "
                f"(Counts), and their length_distribution, as Newsgroups does; got {type(data).__name__}"
            )
        super().start(data)
        lengths = data.length_distribution
        self.length_parameters.copy_(torch.stack([lengths.loc, lengths.scale]))

    def check_data(self, data: object) -> None:
        """ValueError if the data module's vocabulary is of another size."""
        num_words = vocabulary_size(data)
        if num_words is not None and num_words != self.num_words:
            raise ValueError(
                f"the model has {self.num_words} words but the data {num_words}; set model.init_args.num_words and "
                "data.init_args.num_words to the same number"
            )

    def with_own(self, figures: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The NELBO, where it is a figure, also relative to the saturated multinomial."""
        if "nelbo" not in figures:
            return figures
        return figures | {"deviance": figures["nelbo"] + saturated_log_likelihood(_documents(batch)).mean()}

    def figures(self, draw: Draw) -> dict[str, Tensor]:
        """Per document."""
        figures = super().figures(draw)
        assert isinstance(draw.x, Counts), "documents are sparse"
        return figures | {
            "deviance": figures["nelbo"] + saturated_log_likelihood(draw.x),
            "word_nats": figures["nelbo"] + log_multinomial_coefficient(draw.x),
            "words": draw.x.total,
        }

    def summary(self, means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """With the per-word perplexity in place of its two sums."""
        shown = {name: means[name] for name in ("nelbo", "deviance", "reconstruction", "kl")}
        return shown | {"perplexity": (means["word_nats"] / means["words"]).exp()}

    def hashes(self, x: Counts) -> Bool[Tensor, "rows bits"]:
        """The most probable code of each document, in full precision."""
        return most_probable(self.model, x, self.device)

    def predict_step(self, batch: Batch, batch_idx: int) -> Bool[Tensor, "rows bits"]:
        """Codes."""
        return self.hashes(_documents(batch))

    def likelihood(self, z: Tensor) -> Distribution:
        """P(word | z), the law of one word: its mean is the words' frequencies in a document of this code."""
        decoder = as_conditional(self.model.decoder)
        return decoder(z, decoder.family.given(z.new_ones(len(z))))

    def simulate(self, n: int) -> Distribution:
        """P(x | z) of n documents: lengths from the log-normal fitted to the training documents, z from the prior."""
        return self._simulated(n, self.model.prior())

    def simulate_component(self, n: int, k: int) -> Distribution:
        """The same, with z from the k-th component of the prior."""
        return self._simulated(n, component(self.model.prior(), k))

    def _simulated(self, n: int, prior: Distribution) -> Distribution:
        lengths = LogNormal(*self.length_parameters).sample(Size([n])).round().clamp(min=1)
        z = prior.sample(Size([n]))
        decoder = as_conditional(self.model.decoder)
        return decoder(z, decoder.family.given(lengths))


def _documents(batch: Batch) -> Counts:
    x = observations(batch)
    assert isinstance(x, Counts), "documents are sparse"
    return x
