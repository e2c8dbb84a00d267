"""Texts in many languages."""
