"""RBM against VAE on documents: section 4.3 of VAE Approximation Error (2022)."""

from vae_lightning.studies.documents.study import DocumentsStudy

__all__ = ["DocumentsStudy"]
