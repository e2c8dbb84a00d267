"""Builds reproducible, verified .mar archives from an artifact and a spec. Imports neither torch nor `train`, and only
`handlers.formats` from `handlers`.
"""

__version__ = "0.1.0"
