"""Programs of torch.export with changed values and bytes: a model or a clean error."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from handlers.artifact import LoadError
from handlers.formats import torch_export
from handlers.formats.errors import UnsafeFile
from handlers.loader import load_model
from tests.handlers.formats.conftest import Rewrite
from tests.handlers.formats.test_torch_export import MODEL, WEIGHTS, artifact, read

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20"))  # each loads a program, in a twentieth of a second


VALUES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just([]) | st.just({})
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_value_ends_in_a_model_or_a_clean_error(program: Path, rewrite: Rewrite, data: st.DataObject) -> None:
    member = data.draw(st.sampled_from([MODEL, WEIGHTS]))
    document = read(program, member)
    places: list[tuple[Any, Any]] = []
    todo = [document]
    while todo:
        found = todo.pop()
        for key in found if isinstance(found, dict) else range(len(found)):
            places.append((found, key))
            if isinstance(found[key], (dict, list)):
                todo.append(found[key])
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places))
        container[key] = data.draw(VALUES)
    ends_cleanly(rewrite(program, {member: json.dumps(document).encode()}))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=8), st.floats(0, 1))
@example([], 0.5)
def test_changed_bytes_end_in_a_model_or_a_clean_error(
    program: Path, tmp_path: Path, changes: list[tuple[int, int]], share: float
) -> None:
    content = bytearray(program.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path = tmp_path / "weights.pt2"
    path.write_bytes(content[: int(len(content) * share)] if share < 0.2 or not changes else content)
    ends_cleanly(path)


def ends_cleanly(path: Path) -> None:
    try:
        torch_export.check(path)
        load_model(artifact(path), torch.device("cpu"))
    except (UnsafeFile, LoadError):
        return
