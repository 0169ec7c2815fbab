"""Names -> the joint trainings that the study runs: the paper's, and those that ask what spares the decoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from vae_lightning.estimators import Reparameterised
from vae_lightning.objectives import ELBO, IWAE, AnalyticELBO, ForwardKL, Objective
from vae_lightning.priors import Prior, VampPrior
from vae_lightning.studies.celeba.beyond.codes import Flowing, InBlocks
from vae_lightning.studies.celeba.joint import JOINTS, Joint

PSEUDO_INPUTS = 64
PAPER, ALL = "paper", "all"


def _elbo(beta: float) -> Objective:
    return AnalyticELBO(Reparameterised(), beta)


def _sampled_elbo() -> Objective:
    return ELBO(Reparameterised())


def _iwae(num_samples: int) -> Objective:
    return IWAE(Reparameterised(num_samples))


def _vamp(latent: int, image: Sequence[int]) -> Prior:
    return VampPrior(latent, tuple(image), PSEUDO_INPUTS)


def _at(beta: float) -> Joint:
    return Joint(f"joint, beta={beta:g}", objective=partial(_elbo, beta), beta=beta)


DECODER = ("model.decoder",)
FURTHER = (
    Joint("joint, IWAE K=5", objective=partial(_iwae, 5)),
    Joint("joint, IWAE K=50", objective=partial(_iwae, 50), share=10, batch=16),
    Joint("joint, VampPrior", objective=_sampled_elbo, prior=_vamp),
    Joint("joint, covariance in blocks", codes=InBlocks()),
    Joint("joint, flow", objective=_sampled_elbo, codes=Flowing()),
    Joint("decoder kept, ELBO", held=DECODER),
    Joint("decoder kept, forward KL", objective=ForwardKL, held=DECODER),
    *map(_at, (0.01, 0.1, 0.5, 2.0, 4.0)),
)
"""Beyond the paper, all with its known sigma. An image costs K decodings, so that K = 50 sees fewer, in small batches.
beta = 1 is the paper's."""


def joints_of(models: str) -> tuple[Joint, ...]:
    """`paper`, `all`, or names with commas, as those of cells or of their folders; ValueError for an unknown one."""
    known = (*JOINTS, *FURTHER)
    if models in (PAPER, ALL):
        return JOINTS if models == PAPER else known
    by_path = {joint.path: joint for joint in known}
    asked = [name.strip() for name in models.split(",")]
    if unknown := [name for name in asked if name not in by_path]:
        raise ValueError(
            f"there is no model {', '.join(unknown)}; --models takes {PAPER}, {ALL}, or some of {', '.join(by_path)}"
        )
    return tuple(joint for path, joint in by_path.items() if path in asked)
