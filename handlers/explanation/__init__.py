"""Explanations: attributions of a model's answer to the parts of its input."""
