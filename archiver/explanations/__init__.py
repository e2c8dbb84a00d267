"""Explanations: the keys of a spec's `explain`, and the tasks that support it."""
