"""Test log-likelihood of binary digits, 64 hidden bits, 26,000 updates: scikit-learn's BernoulliRBM beside ours.

    vae-lightning fit --config configs/rbm/digits.yaml
    python benchmarks/rbm_likelihood.py runs/version_0/checkpoints/best.ckpt [docs/pictures/rbm-digits.png]

scikit-learn trains on the same digits, drawn once; its weights are loaded into our harmonium, and both are judged by
the same annealed importance sampling (100 chains, 5,000 steps, from the training data's mean). With a second argument,
also draws our model's chains.
"""

from __future__ import annotations

import sys

import torch
from PIL import Image
from sklearn.neural_network import BernoulliRBM

from vae_lightning.callbacks import Chains
from vae_lightning.callbacks.pictures.painters import painter
from vae_lightning.data import Digits, StaticBinarisation
from vae_lightning.families import Bernoulli
from vae_lightning.harmonium import Harmonium
from vae_lightning.models import RBM

UPDATES = 26_000
SETTINGS = ((10, 0.1), (10, 0.01), (100, 0.1), (100, 0.05))
"""scikit-learn's batch size and rate; the first are its defaults."""


@torch.no_grad()
def judge(name: str, model: Harmonium, data: Digits) -> None:
    """Print the log-likelihood of the training and the test digits, and the error of log Z."""
    start = model.visible.fitted(data.train.x.mean(0).flatten())
    torch.manual_seed(0)
    log_z = model.annealed_log_partition(100, torch.linspace(0, 1, 5001), start)
    train, test = (float(-model.free_energy(split.x).mean() - log_z.value) for split in (data.train, data.test))
    error, effective = float(log_z.stderr), float(log_z.effective_sample_size)
    print(f"{name}: train {train:.2f}, test {test:.2f}, log Z +- {error:.2f}, {effective:.0f} chains count", flush=True)


def scikit_learn(batch_size: int, rate: float, data: Digits) -> Harmonium:
    x = data.train.x.flatten(1).numpy()
    epochs = UPDATES // -(-len(x) // batch_size)
    trained = BernoulliRBM(64, learning_rate=rate, batch_size=batch_size, n_iter=epochs, random_state=0).fit(x)
    model = Harmonium(Bernoulli((1, 8, 8)), Bernoulli(64))
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(trained.components_.T.copy()))
        model.visible_bias.copy_(torch.from_numpy(trained.intercept_visible_))
        model.hidden_bias.copy_(torch.from_numpy(trained.intercept_hidden_))
    return model


def draw(module: RBM, file: str) -> None:
    """Ten persistent chains, as they go on."""
    picture = Chains(n=10, steps=(0, 1, 10, 100, 1000))
    picture.paint = painter(module.model.visible.event_shape)
    torch.manual_seed(0)
    Image.fromarray(picture.draw(module)).save(file, optimize=True)


def main() -> None:
    torch.set_num_threads(1)
    data = Digits(StaticBinarisation())
    data.setup()
    module = RBM.load_from_checkpoint(sys.argv[1], weights_only=True)
    if len(sys.argv) > 2:
        draw(module, sys.argv[2])
    judge("ours", module.model, data)
    for batch_size, rate in SETTINGS:
        judge(f"scikit-learn, batch {batch_size}, rate {rate}", scikit_learn(batch_size, rate, data), data)


if __name__ == "__main__":
    main()
