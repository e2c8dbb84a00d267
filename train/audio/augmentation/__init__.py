"""Augmentation of recordings in batches: (B, samples) in; same shape, dtype and device out.

All random numbers come from a torch Generator, so a seed makes them reproducible.
"""
