"""The programs of Debian's package prometheus."""

import shutil

import pytest


def binary(name: str) -> str:
    """The path of `prometheus` or `promtool`; a test that needs a missing one fails, because it checked nothing."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not installed: apt-get install prometheus", pytrace=False)
    return path
