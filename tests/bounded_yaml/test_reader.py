"""YAML within the bounds is read as pyyaml reads it; tests of the three callers have the full messages."""

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from bounded_yaml.reader import MAX_BYTES, UnreadableYaml, parse, read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: 1\nb: [x, 2.5, null, true, 2020-01-02]\nc: |\n  two\n  lines\n",
        "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]\n",
        # The merge into `inner`, which has `x` itself, happens before `inner` is made.
        "a: &a {x: 1}\nouter: {inner: &b {<<: *a, x: 2}}\nlast: {<<: *b}\n",
        "a: " + "[" * 60 + "]" * 60,
        "a: [" + "1, " * 19_000 + "]",
    ],
)
def test_as_pyyaml_reads_it(text: str) -> None:
    assert parse(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: is not YAML: key 'a' occurs twice"),
        ("a: {1: x}", "line 1: is not YAML: key '1' is not a string"),
        ("? [secret]\n: x\n", "line 1: is not YAML: a key is not a string"),
        ("a: !!int secret\n", "line 1: is not YAML: a value is not a valid int"),
        ("a: 1\n---\nb: 2\n", "is not YAML: but found another document"),
        ("a: *b\n", "is not YAML: found undefined alias 'b'"),
        ("a:\n- " + "[" * 100_000, "line 2: is nested more than 64 deep"),
        ("a: &a [*a]\n", "is nested more than 64 deep"),
        ("a: &a {<<: *a}\n", "is nested more than 64 deep"),
        ("a: [" + "[], " * 60_000 + "]", "holds more than 20000 values"),
        (
            "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in pairwise("abcdefghijklmnopqrstu")),
            "holds more than 20000 values",
        ),
        ("# " + "x" * MAX_BYTES, "has more than 262144 characters"),
    ],
)
def test_it_is_refused_in_one_line_and_in_time(text: str, message: str) -> None:
    started = time.process_time()
    with pytest.raises(UnreadableYaml) as raised:
        parse(text)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is not a file"), (b"\xff", "is not UTF-8"), (b"#" * (MAX_BYTES + 1), "has more than 262144 bytes")],
)
def test_a_file_that_cannot_be_read(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content) if content is not None else path.mkdir()
    with pytest.raises(UnreadableYaml, match=message):
        read(path)
