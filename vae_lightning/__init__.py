"""Train latent-variable models with PyTorch Lightning and see where their approximation goes wrong."""

__version__ = "0.1.0"
