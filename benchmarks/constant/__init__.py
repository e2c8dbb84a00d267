"""The cost of our handlers' base class, beside a bare function in TorchServe."""
