"""Search: a text or a document -> the training documents with the nearest hashes."""

from vae_lightning.search.command import search
from vae_lightning.search.index import CodeIndex, Document, Neighbours

__all__ = ["CodeIndex", "Document", "Neighbours", "search"]
