"""Texts: documents -> bags of words."""

from vae_lightning.data.texts.newsgroups import Newsgroups
from vae_lightning.data.texts.stop_words import EnglishStopWords
from vae_lightning.data.texts.vocabulary import ByCount, ByDocuments

__all__ = ["ByCount", "ByDocuments", "EnglishStopWords", "Newsgroups"]
