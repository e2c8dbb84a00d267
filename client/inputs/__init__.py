"""Inputs from NumPy, Pillow and torch objects. These libraries are not imported before the caller does so."""
