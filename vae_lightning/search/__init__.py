"""Search: documents -> an index of their hashes; a text, a document or a code -> those with the nearest hashes."""

from vae_lightning.search.code_index import CodeIndex
from vae_lightning.search.command import search
from vae_lightning.search.hits import Hits
from vae_lightning.search.indexing import index

__all__ = ["CodeIndex", "Hits", "index", "search"]
