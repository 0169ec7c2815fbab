"""Classifiers: images -> their attributes or rotations; trained for the features that they come to see."""

from vae_lightning.models.classifier.attributes import Attributes
from vae_lightning.models.classifier.classifier import Classifier
from vae_lightning.models.classifier.rotations import Rotations
from vae_lightning.models.classifier.task import Task

__all__ = ["Attributes", "Classifier", "Rotations", "Task"]
