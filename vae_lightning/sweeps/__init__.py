"""Sweeps: one command line with several values of options -> a run of each combination; runs -> a table of them."""
