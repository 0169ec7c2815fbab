"""Gaussians that depend on each other: in blocks of one family, and as what two families make together."""
