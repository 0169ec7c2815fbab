"""How PCD's chains, parallel tempering's and tempered transitions' mix in an RBM of two modes, one thread.

    OMP_NUM_THREADS=1 python benchmarks/tempering.py

10 visible and 4 hidden bits that are all off or all on, 18 nats of unlikely states between the two; all on has 3/4 of
the probability, exactly by enumeration. 100 chains are drawn from the model exactly, and go on for 2,000 steps of each
sampler after 200 that the warmer replicas begin with; the temperatures begin at fair bits. `tau` is the integrated
autocorrelation time, in steps, of whether most bits are on (inf: longer than the run tells), and `by chains` the same
from the variance of the chains' means, which also sees slow parts too small for the window (at most 2,000: chains
that stay). `ms` is processor time a step of all chains, `draw` that of `by chains` steps; `share` the mean of the
figure with its standard error; `rate` the lowest swap rate of neighbouring temperatures, or the acceptance of a walk.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Iterator

import torch
from comparisons import AsFast, Comparison, Row, main
from torch import Tensor

from vae_lightning.families import Bernoulli
from vae_lightning.harmonium import Harmonium
from vae_lightning.harmonium.chains import PersistentChains
from vae_lightning.metrics.functional import autocorrelation_time
from vae_lightning.objectives import ParallelTempering, PersistentContrastiveDivergence, TemperedTransitions

VISIBLE, HIDDEN, STRENGTH, ODDS = 10, 4, 2.5, 3.0
CHAINS, WARM, STEPS = 100, 200, 2000
PERSISTENT = "PCD-1", "PCD-10"
SAMPLERS: dict[str, PersistentChains] = {
    "PCD-1": PersistentContrastiveDivergence(chains=CHAINS),
    "PCD-10": PersistentContrastiveDivergence(10, CHAINS),
    "parallel tempering, 5 temperatures": ParallelTempering(chains=CHAINS, betas=5),
    "parallel tempering, 10": ParallelTempering(chains=CHAINS, betas=10),
    "parallel tempering, 20": ParallelTempering(chains=CHAINS, betas=20),
    "tempered transitions, 10 temperatures": TemperedTransitions(chains=CHAINS, betas=10),
    "tempered transitions, 20": TemperedTransitions(chains=CHAINS, betas=20),
}


def bimodal() -> Harmonium:
    """-E = J (s - n/2) (t - m/2) + s/n log odds, of s visible and t hidden bits on."""
    model = Harmonium(Bernoulli(VISIBLE), Bernoulli(HIDDEN))
    with torch.no_grad():
        model.weight.fill_(STRENGTH)
        model.visible_bias.fill_(math.log(ODDS) / VISIBLE - STRENGTH * HIDDEN / 2)
        model.hidden_bias.fill_(-STRENGTH * VISIBLE / 2)
    return model


def on(v: Tensor) -> Tensor:
    """Whether most bits are on."""
    return (v.mean(-1) > 0.5).float()


@torch.no_grad()
def measured(sampler: PersistentChains, model: Harmonium, v: Tensor, steps: int) -> tuple[Tensor, float, float]:
    """The figure of every step and chain, seconds a step, and the lowest rate of the last."""
    sampler.attach(model)
    for name, buffer in sampler.named_buffers():
        if name == "independent":
            buffer.zero_()
    h = model.hidden.sample(model.hidden_natural(v))
    h = h.reshape(CHAINS, *[1] * len(sampler.chain_shape), HIDDEN).expand_as(sampler.hidden)
    rows: list[Tensor] = []
    for step in range(WARM + steps):
        if step == WARM:
            began = time.process_time()
        stretch = sampler.advance(model, h)
        h = stretch.chains
        rows.append(on(stretch.samples))
    seconds = (time.process_time() - began) / steps
    return torch.stack(rows[WARM:]), seconds, min((float(rate) for rate in stretch.figures.values()), default=math.nan)


def mixing(asked: argparse.Namespace) -> Iterator[Row]:
    """What a draw costs by each sampler, beside PCD's chains, and that of the samplers that leave their mode."""
    model, every = bimodal(), torch.tensor(list(itertools.product((0.0, 1.0), repeat=VISIBLE)))
    with torch.no_grad():
        p = model.log_prob(every).exp()
    torch.manual_seed(0)
    begun = every[p.multinomial(CHAINS, replacement=True)]
    print(f"exact share {float(p @ on(every)):.4f}; of the chains as they begin {float(on(begun).mean()):.2f}")
    draws: dict[str, list[float]] = {}
    notes: dict[str, str] = {}
    for name, sampler in SAMPLERS.items():
        torch.manual_seed(1)
        figures, seconds, rate = measured(sampler, model, begun, STEPS // 10 if asked.quick else STEPS)
        of_chains, steps = figures.mean(0), len(figures)
        spread = steps * float(of_chains.var() / figures.var())
        draws[name] = [1e3 * seconds * spread]
        share = f"{of_chains.mean():.3f} +- {of_chains.std() / math.sqrt(CHAINS):.3f}"
        shown = "" if math.isnan(rate) else f", rate {rate:.2f}"
        tau = f"tau {autocorrelation_time(figures):.1f}, by chains {spread:.1f}"
        notes[name] = f"{tau}, {1e3 * seconds:.2f} ms a step, share {share}{shown}"
    for name in list(SAMPLERS)[1:]:
        for other in PERSISTENT:
            if name != other:
                work = f"a draw of two modes, {name}"
                yield Comparison(work, name, other, AsFast(), note=notes[name]).row(draws)


if __name__ == "__main__":
    main({"mixing": mixing}, __doc__)
