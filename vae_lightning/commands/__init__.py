"""Commands on a checkpoint or a run's folder alone: somebody's data -> a file of answers."""
