"""Train latent-variable models with PyTorch Lightning and see where their approximation goes wrong.

`import vae_lightning as vl` imports nothing else; `vl.GaussianVAE`, `vl.load` and all other names do, once used.
"""

from importlib import import_module
from typing import Any

__version__ = "1.0.0"

_NAMES = {
    "loading": "load",
    "training": "trainer",
    "reports": "card report",
    "exports": "export",
    "search": "CodeIndex",
    "models": """
        Attributes Automatic Classifier Compiled Eager Ensemble EveryStep GaussianVAE HVAE HashingVAE LiBI MRFVAE RBM
        Replayed Rotations Task VAE
    """,
    "data": """
        Arrays Binarisation ByCount ByDocuments CelebA Digits DynamicBinarisation FullBatch ImageFolder
        InMemoryDataModule MNIST Newsgroups Observations Omniglot Stacked StaticBinarisation Synthetic Texts
        ThresholdBinarisation
    """,
    "data.processes": """
        CubicJTEx Gain Gaussian GaussianMixture LatentProcess LinearGaussian LinearJTEx MeanField Mobius
        MobiusNetwork PlanarProcess Process Rescaled Univariate rescaled_linear rescaling_gain
    """,
    "families": """
        Bernoulli BernoulliMRF BlockNormal Categorical ExponentialFamily GibbsMRF Multinomial Normal PartlyObserved
        Poisson Product
    """,
    "encoders": "BlockEncoder FlowEncoder",
    "decoders": "Autoregressive",
    "harmonium": """
        ContrastiveDivergence EnumeratedLikelihood Harmonium NegativePhase ParallelTempering
        PersistentContrastiveDivergence Sparsity TemperedTransitions
    """,
    "estimators": """
        ARM DisARM Enumerated GradientEstimator LeaveOneOut Reinforce Reparameterised log_mean_exp mean
    """,
    "objectives": """
        Adversarial AdversarialLoss Aggressive Alternating AnalyticELBO CodeLikelihood Constraint Covariance
        DReG DiscriminatorPenalty ELBO Fakes FirstThen ForwardKL
        FreeBits GeneratorFirst GibbsELBO GradientPenalty Hamiltonian HenzeZirkler Hinge IWAE ImportanceBound Inflated
        InformationFloor Mean MeanFakes NoisyFakes NonSaturating Objective Penalty Posterior PosteriorFit
        PosteriorSamples Proposal R1 Schedule Segments WarmUp Wasserstein
    """,
    "priors": """
        AggregatedPosterior FactorisedPrior HierarchicalPrior Mixture MixturePrior Prior VampPrior
    """,
    "callbacks": """
        AboutFile ActiveUnits AggressiveInference AnnealedLikelihood AtomicCheckpointIO Bar BestCheckpoint BitUse
        Chains ChannelsLast
        CheckpointReference CodeWriter CollapseWatch CompiledLoss Consistency DataReference Diagnostic ELBOSurgery
        EpochLines ExponentialMovingAverage FinalFigures FrechetInceptionDistance Freeze GradientVariance
        HammingPrecision ImageMeans ImageSamples InferenceGaps Interpolations LastCheckpoint LatentScatter LogLikelihood
        LogitsByLength MemberCheckpoints MetricDiagnostic MetricsFile Momentum NearestWords PseudoInputs
        PseudoInputSamples Reconstructions ResampledPosterior Samples SmoothKNN Traversals
    """,
}
"""By room; a name that two rooms have is the first one's: `vl.callbacks.HenzeZirkler` is the diagnostic."""

_ROOM_OF = {name: room for room, names in reversed(_NAMES.items()) for name in names.split()}

_ROOMS = (
    *("answers", "callbacks", "data", "decoders", "encoders", "estimators", "families", "harmonium", "inference"),
    *("metrics", "models", "nn", "objectives", "priors"),
)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _ROOM_OF:
        return getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    raise AttributeError(f"vae_lightning has no {name}")


def __dir__() -> list[str]:
    return sorted(["__version__", *_ROOMS, *_ROOM_OF])
