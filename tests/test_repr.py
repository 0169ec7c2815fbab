"""What a person sees who prints a data module, a draw or a diagnostic: one line with what matters."""

from __future__ import annotations

from pathlib import Path

import torch
from support.models import digits, gaussian_vae, newsgroups

from vae_lightning.callbacks import LogLikelihood, Samples


def test_a_data_module_says_what_it_holds_once_it_is_set_up(miniature: Path) -> None:
    data, documents = digits(), newsgroups(miniature)
    assert repr(data) == str(data) == "Digits(not set up)"
    data.setup()
    documents.setup()
    assert repr(data) == str(data) == "Digits(200 to train on, 61 to validate, 1,536 to test, each (1, 8, 8))"
    assert repr(documents) == f"Newsgroups('{miniature}', 100 to train on, 20 to validate, 61 to test, 80 words)"


def test_a_draw_says_its_shape_and_its_elbo() -> None:
    model, x = gaussian_vae().model, torch.ones(5, 1, 8, 8)
    draw = model.draw(x, q := model.encoder(x), q.rsample((10,)))
    assert repr(draw) == f"Draw(z (10, 5, 2), mean log_weight {draw.log_weight.mean():.2f})"


def test_a_diagnostic_says_its_arguments() -> None:
    assert repr(Samples(n=4)) == "Samples(n=4, every_n_epochs=50)"
    assert repr(LogLikelihood()) == "LogLikelihood(every_n_epochs=50, proposal=Posterior, chunk=None)"
