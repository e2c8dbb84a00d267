"""What a recording's file is, read from its own bytes: its format, and what its writer left open or put before it.

All of it is bounded: a file may hold millions of the parts its format consists of.
"""
