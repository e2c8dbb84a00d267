"""A GPU's limits, and how much of them a server reaches."""
