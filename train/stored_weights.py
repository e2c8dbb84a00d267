"""The name that train.core.stored_weights had in version 0.1; it goes with the next release."""

from warnings import warn

from train.core.stored_weights import round_weights

warn("train.stored_weights is now train.core.stored_weights", FutureWarning, stacklevel=2)

__all__ = ["round_weights"]
