"""Explanations: the keys of a spec's `explain`, and which tasks have an explainer."""
