"""Answers: what a trained model is asked -> records of named rows."""

from vae_lightning.answers.answering import Answering
from vae_lightning.answers.records import Answer, Decoded, Encoded, Imputed, Scored
from vae_lightning.answers.verbs import Decode, Encode, Reconstruct, Verb

__all__ = ["Answer", "Answering", "Decode", "Decoded", "Encode", "Encoded", "Imputed", "Reconstruct", "Scored", "Verb"]
