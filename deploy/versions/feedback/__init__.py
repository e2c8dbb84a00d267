"""Outcomes that callers report, and which version has the better ones."""
