from foveal.tasks.labels.known_set import KnownSet, known_set
from foveal.tasks.labels.labelled_set import LabelledSet, NetworkTruths
from foveal.tasks.labels.reading import FORMS, read_labels

__all__ = ["FORMS", "KnownSet", "LabelledSet", "NetworkTruths", "known_set", "read_labels"]
