"""Start TorchServe, see that every model answers, stop it without a trace."""
