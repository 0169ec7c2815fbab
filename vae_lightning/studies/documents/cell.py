"""What the study of documents runs by itself: a model of so many bits, trained on so many observations."""

from __future__ import annotations

from dataclasses import dataclass

from vae_lightning.studies.documents.domains import Domain


@dataclass(frozen=True)
class DocumentsSize:
    """How much is computed at a scale."""

    steps: dict[str, int]  # of training, at least, for each domain
    validations: int
    seeds: int
    bits: tuple[int, ...]
    few: dict[str, tuple[int | None, ...]]  # training observations of the curves; None is all
    samples: int  # K of a VAE's test log-likelihood
    chains: int
    ais_steps: int
    few_bits: int = 16  # of the models of few data: the RBM's log Z is still exact


@dataclass(frozen=True)
class Cell:
    """A model of a domain, of so many bits, that is trained on n observations; None is all."""

    domain: Domain
    model: str
    bits: int
    n: int | None

    @property
    def name(self) -> str:
        """Such as "text, 16 bits: VAE, N = 100"."""
        few = "" if self.n is None else f", N = {self.n}"
        return f"{self.domain.name}, {self.bits} bits: {self.model}{few}"

    @property
    def path(self) -> str:
        """Such as "text/VAE/16-bits-100"."""
        model = self.model.replace(",", "").replace(" ", "-")
        return f"{self.domain.name}/{model}/{self.bits}-bits-{self.n or 'all'}"


def cells_of(size: DocumentsSize, text: Domain, digits: Domain) -> list[Cell]:
    """Each once: text for every number of bits, the scaled bias at one of them, and the curves of few data."""
    names = ("RBM", "RBM, persistent chains", "VAE", "VAE, deep decoder")
    found = [Cell(text, name, bits, None) for bits in size.bits for name in names[:3]]
    found.append(Cell(text, "RBM, bias scaled by length", size.few_bits, None))
    curves = [(domain, n) for domain in (text, digits) for n in size.few[domain.name]]
    found += [Cell(domain, name, size.few_bits, n) for domain, n in curves for name in names if name in domain.models]
    return list(dict.fromkeys(found))
