"""Start TorchServe, make sure that every model answers, and stop without leaving anything behind."""
