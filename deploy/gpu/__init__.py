"""The GPUs of this machine as a server may use them, and what TorchServe and its workers are told about them."""
