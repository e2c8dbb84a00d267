"""Outcomes that callers report, and which version does better by them."""
