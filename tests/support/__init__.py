"""What tests share: models, data, runs of the command, probes, damage."""
