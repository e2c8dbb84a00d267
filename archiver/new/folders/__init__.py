"""Reads folders of weights, or says what is missing in them."""
