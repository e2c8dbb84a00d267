"""The systems compared: each serves the same classifier as its own documentation advises."""
