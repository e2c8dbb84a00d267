"""Synthesised recordings of spoken digits."""
