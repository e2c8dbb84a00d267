"""What is measured: each serves the same classifier as its own documentation advises."""
