"""Other packages' own code for the work that ours is compared in. Each raises ImportError where it is not installed."""
