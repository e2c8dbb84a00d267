"""The format of a recording, read from its own bytes, and what its writer left open or put before it.

All of it is bounded: a file may hold millions of the parts its format consists of.
"""
