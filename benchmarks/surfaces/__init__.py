"""The cost of a request in each of its forms."""
