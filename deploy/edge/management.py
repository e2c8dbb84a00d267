"""The management calls that are documented, with their parameters and the range of each value.

TorchServe takes -1 for a batch size, "abc" for a number of workers, any folder of its disk for an archive, and a name
with slashes that no later call can reach.
"""

from __future__ import annotations

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"  # of a model, a version or an archive: no slash, no percent sign
# The most decimal digits of each number. Both protocols are held to them: requests.lua is given this table.
DIGITS = {
    "initial_workers": 2,
    "min_worker": 2,
    "max_worker": 2,
    "batch_size": 4,
    "max_batch_delay": 5,
    "response_timeout": 4,
    "startup_timeout": 4,
    "limit": 3,
    "next_page_token": 6,
}
FROM_ZERO = {"initial_workers", "min_worker", "max_worker", "max_batch_delay", "next_page_token"}
PATTERNS = {
    "url": rf"{NAME}\.mar",
    "model_name": NAME,
    "synchronous": "true|false",
    "customized": "true|false",
    **{
        name: rf"[0-9]{{1,{most}}}" if name in FROM_ZERO else rf"[1-9][0-9]{{0,{most - 1}}}"
        for name, most in DIGITS.items()
    },
}
MODEL = rf"/models/{NAME}"
ANY_VERSION = rf"{MODEL}(?:/{NAME})?"


def query(*names: str) -> str:
    """A regular expression of the query strings with these parameters alone, the question mark included."""
    parameter = "|".join(f"{name}=(?:{PATTERNS[name]})" for name in names)
    return rf"(?:\?(?:(?:{parameter})(?:&(?:{parameter}))*)?)?"


# Method, and path with its query, of every call. The whole text is compared: TorchServe also ends a parameter at a
# semicolon, and decodes what it has got.
CALLS = (
    ("GET", r"/models" + query("limit", "next_page_token")),
    (
        "POST",
        r"/models"
        + query(
            "url",
            "model_name",
            "initial_workers",
            "batch_size",
            "max_batch_delay",
            "response_timeout",
            "startup_timeout",
            "synchronous",
        ),
    ),
    ("GET", ANY_VERSION + query("customized")),
    ("PUT", ANY_VERSION + query("min_worker", "max_worker", "synchronous")),
    ("PUT", rf"{MODEL}/{NAME}/set-default"),
    ("DELETE", ANY_VERSION),
)
REFUSED = (
    "no such management call; a number is in range (batch_size from 1, workers below 100), an archive is the name of a "
    ".mar file in the model store, a name has letters, digits and ._- alone; docs/edge.md lists the calls"
)
