"""The GPUs that a server may use, and how TorchServe and its workers are told about them."""
