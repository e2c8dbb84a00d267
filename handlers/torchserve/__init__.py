"""All that knows TorchServe from the inside."""
