"""Table 2 of VAE Approximation Error (2022): semantic hashing of 20 Newsgroups by bits, decoder and encoder."""

from vae_lightning.studies.newsgroups.study import NewsgroupsStudy

__all__ = ["NewsgroupsStudy"]
