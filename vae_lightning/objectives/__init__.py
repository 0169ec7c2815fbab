"""Objectives: (model, x) -> a quantity to maximise, one value per observation, in nats."""

from vae_lightning.harmonium.negative_phase import (
    ContrastiveDivergence,
    EnumeratedLikelihood,
    PersistentContrastiveDivergence,
)
from vae_lightning.harmonium.parallel_tempering import ParallelTempering
from vae_lightning.harmonium.phase import NegativePhase
from vae_lightning.harmonium.sparsity import Sparsity
from vae_lightning.harmonium.tempered_transitions import TemperedTransitions
from vae_lightning.inference.hamiltonian import Hamiltonian, PosteriorSamples
from vae_lightning.inference.importance import Inflated, Posterior, Proposal
from vae_lightning.objectives.adversarial.adversarial import Adversarial
from vae_lightning.objectives.adversarial.fakes import Fakes, MeanFakes, NoisyFakes
from vae_lightning.objectives.adversarial.losses import AdversarialLoss, Hinge, NonSaturating, Wasserstein
from vae_lightning.objectives.adversarial.penalties import R1, DiscriminatorPenalty, GradientPenalty
from vae_lightning.objectives.base import Objective
from vae_lightning.objectives.code_likelihood import CodeLikelihood
from vae_lightning.objectives.constraints.base import Constraint, Penalty
from vae_lightning.objectives.constraints.information_floor import InformationFloor
from vae_lightning.objectives.constraints.penalties import Covariance, HenzeZirkler, Mean
from vae_lightning.objectives.dreg import DReG
from vae_lightning.objectives.elbo import ELBO, AnalyticELBO
from vae_lightning.objectives.forward_kl import ForwardKL
from vae_lightning.objectives.free_bits import FreeBits
from vae_lightning.objectives.gibbs import GibbsELBO
from vae_lightning.objectives.importance_bound import ImportanceBound
from vae_lightning.objectives.iwae import IWAE
from vae_lightning.objectives.posterior_fit import PosteriorFit
from vae_lightning.objectives.schedules import Schedule, WarmUp
from vae_lightning.objectives.turns.aggressive import Aggressive
from vae_lightning.objectives.turns.alternating import Alternating
from vae_lightning.objectives.turns.first_then import FirstThen
from vae_lightning.objectives.turns.generator_first import GeneratorFirst
from vae_lightning.objectives.turns.segments import Segments

__all__ = [
    "ELBO",
    "IWAE",
    "R1",
    "Adversarial",
    "AdversarialLoss",
    "Aggressive",
    "Alternating",
    "AnalyticELBO",
    "CodeLikelihood",
    "Constraint",
    "ContrastiveDivergence",
    "Covariance",
    "DReG",
    "DiscriminatorPenalty",
    "EnumeratedLikelihood",
    "Fakes",
    "FirstThen",
    "ForwardKL",
    "FreeBits",
    "GeneratorFirst",
    "GibbsELBO",
    "GradientPenalty",
    "Hamiltonian",
    "HenzeZirkler",
    "Hinge",
    "ImportanceBound",
    "Inflated",
    "InformationFloor",
    "Mean",
    "MeanFakes",
    "NegativePhase",
    "NoisyFakes",
    "NonSaturating",
    "Objective",
    "ParallelTempering",
    "Penalty",
    "PersistentContrastiveDivergence",
    "Posterior",
    "PosteriorFit",
    "PosteriorSamples",
    "Proposal",
    "Schedule",
    "Segments",
    "Sparsity",
    "TemperedTransitions",
    "WarmUp",
    "Wasserstein",
]
