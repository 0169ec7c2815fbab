"""Texts: documents -> bags of words."""

from typing import TYPE_CHECKING

from vae_lightning.construction.rooms import lazily
from vae_lightning.data.texts.matrices import BagOfWordsTriples, LdaC, MatrixMarket, SparseArrays, SvmLight
from vae_lightning.data.texts.readers import CSV, Folder, JSONLines, Parquet, Reader, TextReader
from vae_lightning.data.texts.stop_words import EnglishStopWords, StopWordsFile
from vae_lightning.data.texts.tokenizers import LatinLetters, Tokenizer, UnicodeWords
from vae_lightning.data.texts.vocabulary import ByCount, ByDocuments

if TYPE_CHECKING:
    from vae_lightning.data.texts.base import BagsOfWords
    from vae_lightning.data.texts.newsgroups import Newsgroups
    from vae_lightning.data.texts.texts import Texts

__all__ = [
    "CSV",
    "BagOfWordsTriples",
    "BagsOfWords",
    "ByCount",
    "ByDocuments",
    "EnglishStopWords",
    "Folder",
    "JSONLines",
    "LatinLetters",
    "LdaC",
    "MatrixMarket",
    "Newsgroups",
    "Parquet",
    "Reader",
    "SparseArrays",
    "StopWordsFile",
    "SvmLight",
    "TextReader",
    "Texts",
    "Tokenizer",
    "UnicodeWords",
]

__getattr__ = lazily(__name__, {"base": "BagsOfWords", "newsgroups": "Newsgroups", "texts": "Texts"})
