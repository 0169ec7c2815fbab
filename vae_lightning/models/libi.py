"""LiBI: the generator first, by likelihood and constrained codes; inference after, with the generator fixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from vae_lightning.batches import Batch
from vae_lightning.conditional import Network
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.protocols import HasValidation, Split, datamodule
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import ExponentialFamily
from vae_lightning.latent_variable import ConditionalLike, LatentVariableModel, encoder_of
from vae_lightning.models.best import BestWeights
from vae_lightning.models.gaussian import gaussian_codes
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.models.optimizers import quick_adam
from vae_lightning.models.phased import Phased
from vae_lightning.nn import MLP
from vae_lightning.objectives import AnalyticELBO, Objective
from vae_lightning.objectives.code_likelihood import CodeLikelihood
from vae_lightning.objectives.importance_bound import ImportanceBound
from vae_lightning.objectives.turns.generator_first import GeneratorFirst
from vae_lightning.priors import Prior
from vae_lightning.randomness import seeded

_ROWS = 64  # validation observations judged at once


def adam(parameters: Iterable[Any]) -> torch.optim.Optimizer:
    """Adam at 0.01, the paper's."""
    return quick_adam(parameters, lr=0.01)


class LiBI(LatentVariableModule, Phased):
    """Likelihood before inference (Yacoby, Pan, Doshi-Velez, 2019): a generator not compromised by its posterior.

    R times, in `steps` optimizer steps split evenly,

        1. the generator: max over theta, h of mean_n log p_theta(x_n | h(x_n)) - penalties of {h(x_n)}   (Eq. 44)
        2. inference: max over phi of the ELBO, theta fixed                                                 (Eq. 46)
        3. h := the mean of q_phi(z | x), and again.

    theta and phi go on where they were; the optimizer starts anew at each phase. At the end of a repeat the model is
    judged on the validation data, by the importance-weighted bound on log p(x); the best is kept, in checkpoints too,
    and when the last repeat is done the model becomes it. Phases are functions of the step, so an interrupted run
    resumes exactly. The batch should be the whole data set (`data.FullBatch`), max_steps be repeats * steps.

    Figures of training, in nats per observation: in step 1 -log p(x | h(x)), `reconstruction`, and each penalty by its
    name; in step 2 `nelbo`. A penalty that the codes fail is named in a warning.
    ValueError unless latent_dim >= 1, R >= 1 and steps is even and positive; for shapes that disagree; when training
    starts, for a run that ends before its repeats do, and for R > 1 without validation data.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), section 2 and appendix D.

    Args:
        latent_dim: d, the number of entries of a code.
        observed: family of p(x | z).
        encoder: builds the network x -> (mu, log sigma) of q, and another for h, of which mu is the code.
        decoder: builds the network z -> parameters of p(x | z).
        generator: what step 1 maximises: by default `CodeLikelihood()`, with its penalties of the codes h. Any other
            objective trains the parts it depends on, such as `IWAE` those of a VAE, or `Adversarial` the decoder.
        inference: what step 2 maximises; by default the ELBO with one sample and the KL in closed form. `PosteriorFit`
            takes samples of the posterior by Hamiltonian Monte Carlo, `ForwardKL` of the generator's own codes.
        steps: optimizer steps of a repeat, even.
        repeats: R.
        selection: what repeats are judged by on validation data; by default `ImportanceBound()`.
        prior: p(z), by default N(0, I), against which the penalties hold the codes.
        optimizer: builds the optimizer from the parameters; by default Adam at 0.01.
        scheduler: builds a learning-rate scheduler, stepped every epoch or step (`EveryStep`), which knows no phases.
        evaluation_samples: samples of z per observation in validation and test.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.models import LiBI
        >>> model = LiBI(2, Normal(3, 0.1), steps=100)
        >>> loss, figures = model.loss((torch.randn(50, 3), torch.zeros(50)), step=0)
        >>> list(figures)  # the generator's step: the likelihood of codes, and what they pay for not being Gaussian
        ['reconstruction', 'henze_zirkler', 'covariance', 'mean']
        >>> from functools import partial
        >>> from vae_lightning.nn import MLP
        >>> from vae_lightning.objectives import Adversarial, ForwardKL
        >>> game = Adversarial(partial(MLP, hidden=[32]))  # a GAN first, then its encoder from its own samples
        >>> gan = LiBI(2, Normal(3, 0.1), generator=game, inference=ForwardKL(), steps=100)
        >>> list(gan.loss((torch.randn(50, 3), torch.zeros(50)), step=0)[1])
        ['discriminator', 'generator', 'real', 'fake']
    """

    _judged: Split | None = None
    _began: bool = False  # whether a training has, by which something may have been kept

    def __init__(
        self,
        latent_dim: int,
        observed: ExponentialFamily,
        encoder: Network = MLP,
        decoder: Network = MLP,
        generator: Objective | None = None,
        inference: Objective | None = None,
        steps: int = 30_000,
        repeats: int = 1,
        selection: Objective | None = None,
        prior: Prior | None = None,
        optimizer: OptimizerCallable = adam,
        scheduler: LRSchedulerCallable | None = None,
        evaluation_samples: int = 1,
    ) -> None:
        check_kinds(LiBI, locals())
        latent = gaussian_codes(latent_dim)
        model = LatentVariableModel.of_families(latent, observed, encoder, decoder, prior)
        # not assigned to the arguments' own names: the hyperparameters saved are the arguments as they were given
        build = partial(encoder_of, latent, observed, encoder)
        first, codes = _with_codes(generator or CodeLikelihood(), build)
        objective = GeneratorFirst(first, inference or AnalyticELBO(Reparameterised()), steps, repeats)
        super().__init__(model, objective, optimizer, scheduler, evaluation_samples)
        self.codes, self.phases = codes, objective.phases
        self.judge, self.best = selection or ImportanceBound(), BestWeights(self._learnt())
        self.judge.check(model)
        with only_plain(self):
            self.save_hyperparameters(logger=False)

    # -- phases, also of a module whose tensors are stacked for many models ------------------------------------------

    def begins_phase(self, step: int) -> bool:
        """Whether the optimizer starts anew before this step."""
        return self.phases.at(step).begins

    @torch.no_grad()
    def begin_phase(self, step: int) -> None:
        """Step 3, before the first step of a repeat but the first: h becomes the mean of q."""
        phase = self.phases.at(step)
        if self.codes is not None and phase.begins and phase.of_generator and phase.repeat:
            learnt = self._learnt()
            for name, tensor in self.codes.state_dict().items():  # type: ignore[attr-defined]  # encoders are modules
                tensor.copy_(learnt[f"model.encoder.{name}"])

    def ends_repeat(self, step: int) -> bool:
        """Whether a repeat is done after so many steps, so that validation judges the model."""
        return 0 < step <= self.phases.total and step % self.phases.steps == 0

    def judged_on(self, data: object) -> Split | None:
        """The validation data, or None without; ValueError if there are repeats to choose among."""
        if isinstance(data, HasValidation):
            return data.val
        if self.phases.repeats > 1:
            raise ValueError(
                "LiBI chooses among its repeats by validation: fit with a data module that has the data as val.x, as "
                "those of vae_lightning.data do, or set repeats to 1"
            )
        return None

    @torch.no_grad()
    def value_on(self, data: Split) -> Float[Tensor, ""]:
        """What the best repeat has most of, in nats per observation: as in evaluation, with noise of the seed alone."""
        like = next(self.parameters())
        with seeded(self.seed, "select"), self._ready():
            values = torch.cat([self.judge(self.model, x.to(like)) for x in _blocks(data)])
        return values.mean().to(self.best.value)

    @torch.no_grad()
    def kept_on(self, data: Split) -> Float[Tensor, ""]:
        """What the best repeat kept so far has on these data; -inf without one."""
        if self.best.repeat < 0:
            return self.best.value
        learnt = self._learnt()
        present = [tensor.clone() for tensor in learnt.values()]
        self.recall()
        value = self.value_on(data)
        for tensor, before in zip(learnt.values(), present, strict=True):
            tensor.copy_(before)
        return value.nan_to_num(-torch.inf, torch.inf, -torch.inf)

    def value_kept(self, value: Float[Tensor, "*M"]) -> None:
        """Let the best repeat kept so far have another value, as on other data."""
        self.best.value.copy_(value)

    def keep_best(self, value: Float[Tensor, "*M"], step: int) -> None:
        """After a repeat, keep the model if its value is above all before; after the last, become the one kept."""
        self.best.keep(self._learnt(), value, step // self.phases.steps - 1)
        if step == self.phases.total:
            self.recall()

    def recall(self) -> Float[Tensor, "*M"]:
        """Become the best repeat kept so far, if any is; its value, -inf without one."""
        self.best.recall(self._learnt())
        return self.best.value

    def _learnt(self) -> dict[str, Tensor]:
        """What a repeat leaves: theta, phi and, where step 1 has them, the codes h."""
        return {name: tensor for name, tensor in self.state_dict().items() if name.startswith(("model.", "codes."))}

    # -- training ------------------------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        """ValueError for a run that is too short, or without validation data to choose by."""
        super().on_train_start()
        self._judged = self.judged_on(datamodule(self.trainer))
        if self._judged is not None and not self.global_step and (self._began or self.trained_steps):
            self.value_kept(self.kept_on(self._judged))  # what is kept may be of other data
        self._began = True

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed this step; where a phase begins, close the last one and start anew."""
        super().on_train_batch_start(batch, batch_idx)
        step = self.global_step
        if batch_idx % self.trainer.accumulate_grad_batches:
            return
        self._choose(step)  # again in a run resumed from a checkpoint that was written before it was done
        if not self.begins_phase(step):
            return
        self.begin_phase(step)
        for optimizer in self.trainer.optimizers:
            optimizer.state.clear()

    def on_train_batch_end(self, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int) -> None:
        """Judge the model where a repeat is done."""
        self._choose(self.global_step)

    def _choose(self, step: int) -> None:
        if self._judged is not None and self.ends_repeat(step):
            self.keep_best(self.value_on(self._judged), step)


def _blocks(data: Split) -> Iterator[Tensor]:
    """All of x in its order, some rows at a time, so that images of a mapped file are never all in memory."""
    for rows in torch.arange(len(data)).split(_ROWS):
        x, _ = data.batch(rows)
        assert isinstance(x, Tensor), "LiBI's codes are of dense observations"
        yield x


def _with_codes(generator: Objective, build: Callable[[], ConditionalLike]) -> tuple[Objective, ConditionalLike | None]:
    """A generator's objective with the codes it is of, and these; any other objective as it is, with none."""
    if not isinstance(generator, CodeLikelihood):
        return generator, None
    codes = build()
    return generator.with_codes(codes), codes
