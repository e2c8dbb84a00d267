"""Error texts for the sender of a request, whatever the request held."""

import io
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from handlers import rare_tracebacks
from handlers.errors import MAX_MESSAGE, InvalidInput, MalformedInput, shown
from handlers.rare_tracebacks import RareTracebacks

DEEP: Any = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize("length", [10, MAX_MESSAGE, MAX_MESSAGE + 1, 10**7])
def test_a_message_has_a_bounded_length(length: int) -> None:
    message = InvalidInput("x" * length).at("instances[3]").message
    assert message.startswith("instances[3]: xxx")
    assert len(message) <= MAX_MESSAGE


def test_a_message_holds_no_address_of_an_object() -> None:
    for sent in (io.BytesIO(), object()):
        error = MalformedInput(f"cannot identify image file {sent!r}")
        assert error.message == "cannot identify image file the input"
    with pytest.raises(OSError, match="0x") as raised:
        Image.open(io.BytesIO(b"no image"))
    assert "0x" not in MalformedInput(str(raised.value)).message
    assert MalformedInput("byte 5 is 0xff").message == "byte 5 is 0xff"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("grüße", '"grüße"'),
        ("x" * 41, f'"{"x" * 40}…"'),
        (7, "7"),
        (0.5, "0.5"),
        (True, "true"),
        (None, "null"),
        (DEEP, "a list"),
        ({"a": DEEP}, "an object"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_as_errors_name_them(value: Any, text: str) -> None:
    assert shown(value) == text


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.binary(), st.lists, max_leaves=5))
def test_any_value_is_named_in_few_words(value: Any) -> None:
    assert len(shown(value)) < 300


def test_an_error_that_is_kept_holds_no_frames() -> None:
    body = bytearray(1000)
    before = sys.getrefcount(body)

    def read(sent: bytearray) -> None:
        try:
            int(sent[:3].decode())
        except ValueError as error:
            raise MalformedInput("broken") from error

    def attempt() -> MalformedInput:
        try:
            read(body)
        except MalformedInput as error:
            return error.detached()
        raise AssertionError

    kept = attempt()
    assert sys.getrefcount(body) == before
    assert (kept.__context__, kept.__cause__, kept.__traceback__) == (None, None, None)


def test_a_repeated_fault_has_one_traceback_in_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(rare_tracebacks, "monotonic", lambda: now)
    logger = logging.getLogger("tests.faults")
    logger.addFilter(RareTracebacks())
    for _ in range(50):
        try:
            raise ValueError("y" * 10_000)
        except ValueError:
            logger.exception("request %s failed at 100 %%", "abc")
        now += 0.3
    assert [record.exc_info is not None for record in caplog.records].count(True) == 2
    assert all(
        record.getMessage().startswith("request abc failed at 100 %: ValueError: yyy") for record in caplog.records
    )
    assert max(len(record.getMessage()) for record in caplog.records) < 300
