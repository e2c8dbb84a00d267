"""OpenAI's calls before a model: whatever is sent is a request of its task or a clear error; subtitles."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.errors import RequestError, TooLarge, UnsupportedMedia
from handlers.protocol.limits import Limits
from handlers.protocol.openai.call import CHAT, COMPLETIONS, EMBEDDINGS, TRANSCRIPTIONS, Call
from handlers.protocol.openai.fields import IGNORED, NEUTRAL
from handlers.protocol.openai.response import failed, response
from handlers.protocol.openai.subtitles import srt, vtt
from handlers.protocol.payload import InputType, Request
from handlers.protocol.request import parse

LIMITS = Limits(1 << 20, 64, 5000)
NAMES = (
    *("model", "messages", "prompt", "input", "n", "stream", "stream_options", "temperature", "seed", "stop", "role"),
    *("max_tokens", "content", "type", "text", "encoding_format", "include_usage", *NEUTRAL, *IGNORED),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["user", "text", "x", "", "base64", "json", "word"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)
PATHS = st.sampled_from([CHAT, COMPLETIONS, EMBEDDINGS, TRANSCRIPTIONS, "images/generations", ""])


def read(path: str, fields: Any, content_type: str = "application/json") -> Request:
    body = fields if isinstance(fields, bytes) else orjson.dumps(fields)
    return parse({"body": body}, {"content-type": content_type, "x-openai": path}, InputType.TEXT, LIMITS)


@given(PATHS, st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8) | VALUES)
def test_any_json_is_a_request_or_a_clear_error(path: str, fields: Any) -> None:
    try:
        request = read(path, fields)
    except RequestError as error:
        answer = failed(error, None)
        found = orjson.loads(answer.body)["error"]
        assert 400 <= found["code"] == answer.status < 500
        assert 0 < len(found["message"]) <= 300
        return
    if path not in ("", TRANSCRIPTIONS):
        assert request.call is not None
        assert 0 < len(request.payloads) <= LIMITS.max_instances


@given(st.sampled_from([CHAT, TRANSCRIPTIONS]), st.dictionaries(
    st.sampled_from(["file", "body", "model", "language", "stream", "temperature", "response_format", "text",
                     "timestamp_granularities[]", "timestamp_granularities"]),
    st.binary(max_size=6) | st.lists(st.sampled_from([b"word", b"segment", b""]), min_size=2, max_size=3),
))  # fmt: skip
def test_any_form_is_a_request_or_a_clear_error(path: str, row: dict[str, Any]) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x", "x-openai": path}
    code = 200
    try:
        request = parse(row, headers, InputType.MEDIA, LIMITS)
    except RequestError as error:
        code = error.code
    assert code < 500
    assert code != 200 or (request.call is not None and request.call.path == TRANSCRIPTIONS)


def test_a_part_of_a_form_or_an_entry_over_grpc_is_no_header() -> None:
    """TorchServe gives a mapping for each of them; over gRPC there is no stream of events."""
    row = {"body": b"Ja", "x-openai": b"completions"}
    request = parse(row, {"x-openai": {"content-type": b""}}, InputType.TEXT, LIMITS)
    assert request.call is None
    assert request.payloads[0].parameters == {"x-openai": "completions"}


@pytest.mark.parametrize(("fields", "parameters"), [
    ({"max_tokens": 3, "stop": ["a"], "temperature": 0.5, "top_p": 0.9, "seed": 1},
     {"max_new_tokens": 3, "stop": ["a"], "temperature": 0.5, "top_p": 0.9, "seed": 1}),
    ({"user": "me", "store": False, "logit_bias": {}, "presence_penalty": 0, "n": None, "tools": []}, {}),
])  # fmt: skip
def test_the_task_s_parameters(fields: dict[str, Any], parameters: dict[str, Any]) -> None:
    request = read(COMPLETIONS, {"model": "m", "prompt": "Ja", **fields})
    [payload] = request.payloads
    assert payload.data == "Ja"
    assert {**payload.parameters} == {"chat": False, "stream": "false", "truncate": False, **parameters}


def test_several_choices_have_their_places() -> None:
    request = read(COMPLETIONS, {"model": "m", "prompt": ["a", "b"], "n": 3, "seed": 5})
    assert [payload.data for payload in request.payloads] == ["a"] * 3 + ["b"] * 3
    assert [payload.parameters["seed"] for payload in request.payloads] == [5, 6, 7] * 2
    assert [request.place(index) for index in (0, 2, 3)] == ["prompt[0]", "prompt[0]", "prompt[1]"]
    with pytest.raises(TooLarge):
        read(COMPLETIONS, {"model": "m", "prompt": ["a"] * 10, "n": 10})


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", ""])
def test_other_content_types(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        read(CHAT, {"model": "m"}, content_type)


SEGMENTS = [
    {"text": "Hello <b> & --> you", "start": 0.0, "end": 1.25},
    {"text": "two\nlines", "start": 3661.5, "end": 3662.0009},
]


def test_subtitles() -> None:
    assert srt(SEGMENTS) == (
        "1\n00:00:00,000 --> 00:00:01,250\nHello <b> & -> you\n\n2\n01:01:01,500 --> 01:01:02,001\ntwo lines\n\n"
    )
    assert vtt(SEGMENTS) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\nHello &lt;b> &amp; -> you\n\n"
        "01:01:01.500 --> 01:01:02.001\ntwo lines\n\n"
    )
    assert srt([]) == "\n"
    assert vtt([]) == "WEBVTT\n\n"


@pytest.mark.parametrize(("form", "body"), [
    ("json", b'{"text":"Hi","usage":{"type":"duration","seconds":2}}'),
    ("text", b"Hi\n"),
    ("verbose_json", b'{"task":"transcribe","language":"de","duration":1.5,"text":"Hi","segments":'
     b'[{"id":0,"text":"Hi","start":0.0,"end":1.5}],"usage":{"type":"duration","seconds":2}}'),
])  # fmt: skip
def test_transcripts(form: str, body: bytes) -> None:
    answer = {"text": "Hi", "seconds": 1.5, "language": "de", "segments": [{"text": "Hi", "start": 0.0, "end": 1.5}]}
    found = response(Call(TRANSCRIPTIONS, "m", form=form), [orjson.dumps(answer)], [0])
    assert found.body == body


def test_an_error_has_the_caller_s_name_of_a_parameter() -> None:
    call = Call(CHAT, "m", names={"max_new_tokens": "max_tokens"})
    found = orjson.loads(failed(TooLarge("max_new_tokens: got 99, wanted 1 to 9"), call).body)["error"]
    assert (found["param"], found["message"]) == ("max_tokens", "max_tokens: got 99, wanted 1 to 9")
    assert orjson.loads(failed(TooLarge("the body is: wrong"), call).body)["error"]["param"] is None
    begun = Call(CHAT, "m", stream=True, sent={0: "Hi"})
    assert failed(TooLarge("x"), begun).body.startswith(b'data: {"error":{')
