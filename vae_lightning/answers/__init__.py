"""Answers: what a trained model is asked -> records of named rows."""

from vae_lightning.answers.answering import Answering
from vae_lightning.answers.records import Anomalies, Answer, Decoded, Encoded, Imputed, Nearest, Scored
from vae_lightning.answers.verbs import Decode, Encode, Reconstruct, Sample, Verb

__all__ = [
    "Anomalies",
    "Answer",
    "Answering",
    "Decode",
    "Decoded",
    "Encode",
    "Encoded",
    "Imputed",
    "Nearest",
    "Reconstruct",
    "Sample",
    "Scored",
    "Verb",
]
