"""Answers: what a trained model is asked -> records of named rows."""

from vae_lightning.answers.answering import Answering
from vae_lightning.answers.records import Anomalies, Answer, Decoded, Encoded, Imputed, Nearest, Scored
from vae_lightning.answers.verbs import Decode, Encode, Impute, Reconstruct, Sample, Score, Verb

__all__ = [
    "Anomalies",
    "Answer",
    "Answering",
    "Decode",
    "Decoded",
    "Encode",
    "Encoded",
    "Impute",
    "Imputed",
    "Nearest",
    "Reconstruct",
    "Sample",
    "Score",
    "Scored",
    "Verb",
]
