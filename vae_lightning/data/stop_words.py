"""Stop words, at the class path that older configurations and checkpoints have."""

from vae_lightning.data.texts.stop_words import EnglishStopWords, StopWordsFile

__all__ = ["EnglishStopWords", "StopWordsFile"]
