"""A process whose ensemble has recorded a step -> forked children that train, though nothing was trained before."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os
import torch
from vae_lightning.families import Normal
from vae_lightning.models import Ensemble, GaussianVAE, Replayed

ensemble = Ensemble(member=lambda: GaussianVAE(2, Normal(2, 0.1)), seeds=2, execution=Replayed())
x = torch.zeros(2, 4, 2)
Replayed().losses(ensemble.stack)((x, torch.zeros(2, 4)), 0)
child = os.fork()
if not child:
    torch.ones(1, requires_grad=True).sum().backward()
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_trains_after_a_recording() -> None:
    """In an interpreter of its own, for autograd looks for GPUs once in a process."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
