"""The name that train.core.artifact had in version 0.1; it goes with the next release."""

from warnings import warn

from train.core.artifact import Artifact

warn("train.artifact is now train.core.artifact", FutureWarning, stacklevel=2)

__all__ = ["Artifact"]
