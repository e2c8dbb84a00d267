"""Drawn images and encoded masks: the forms of answers that are more than numbers."""
