"""Augmentation of recordings, a batch at a time: (B, samples) in, the same shape, dtype and device out.

All randomness is drawn from a torch Generator, so that a seed repeats it.
"""
