"""The front end of speech: rate, level, trimming and denoising, the same in training and in serving.

Nothing here remembers one recording when it works on the next.
"""
