"""Parameters of a query string. TorchServe drops it; the edge hands it over in a header, which callers may set too."""

from __future__ import annotations

from urllib.parse import parse_qsl

from handlers.errors import InvalidInput, MalformedInput, shown
from handlers.protocol.json_value import DATA_KEYS, MAX_PARAMETERS

QUERY = "x-parameters"


def parameters_of(query: str) -> dict[str, str]:
    """`"top_k=3&language=de"` → `{"top_k": "3", "language": "de"}`.

    Raises MalformedInput for a name that is there twice, InvalidInput for too many names or the data's own.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise InvalidInput(f"the query has more than {MAX_PARAMETERS} parameters") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name in found if sum(name == each for each, _ in pairs) > 1)
        raise MalformedInput(f"{shown(twice)}: sent twice in the query; send one")
    if data := found.keys() & set(DATA_KEYS):
        raise InvalidInput(f"{shown(min(data))}: the input cannot be in the query; send it in the body")
    return found
