"""Beyond the paper: further joint trainings, richer encoders, and what each pays for its ELBO."""
