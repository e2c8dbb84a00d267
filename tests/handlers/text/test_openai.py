"""OpenAI's calls of text models, in a worker: against transformers, and embeddings against plain torch."""

import base64
import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from tests.handlers.frontend import frontend_of, sent
from tests.handlers.worker import Worker
from tests.tiny_texts import LINES

JSON = b"application/json"
CHAT, COMPLETIONS, EMBEDDINGS = "chat/completions", "completions", "embeddings"
TURNS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Ja"}]


@pytest.fixture(scope="module")
def writer(load: Callable[[str], Worker]) -> Worker:
    return load("tiny-writer")


@pytest.fixture
def frontend(writer: Worker) -> Iterator[socket.socket]:
    with frontend_of(writer) as end:
        yield end


def headers(path: str) -> dict[str, Any]:
    """As they arrive over HTTP."""
    return {"Content-Type": JSON.decode(), "Content-Length": "1", "x-openai": path}


def call(worker: Worker, path: str, **fields: Any) -> tuple[int, Any]:
    fields = {"model": worker.context.model_name, **fields}
    [(status, _, body)] = worker.answer([{"body": orjson.dumps(fields)}], [headers(path)])
    return status, orjson.loads(body)


def written(worker: Worker, ids: list[int], new_tokens: int) -> list[int]:
    """By transformers' own generate, the most probable tokens."""
    folder = worker.handler.artifact.weights
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    settings = GenerationConfig(
        max_new_tokens=new_tokens, do_sample=False, pad_token_id=0, eos_token_id=worker.handler.tokenizer.eos_token_id
    )
    prompt = torch.tensor([ids])
    found = model.generate(prompt, attention_mask=torch.ones_like(prompt), generation_config=settings)
    return found[0, len(ids) :].tolist()


def test_a_chat_equals_that_of_transformers(writer: Worker) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(writer.handler.artifact.weights, local_files_only=True)
    ids = tokenizer.apply_chat_template(TURNS, add_generation_prompt=True, return_dict=True)["input_ids"]
    wanted = written(writer, ids, 12)
    parts = [TURNS[0] | {"role": "developer"}, TURNS[1] | {"content": [{"type": "text", "text": "Ja"}]}]
    for messages, length in ((TURNS, "max_tokens"), (parts, "max_completion_tokens")):
        status, answer = call(writer, CHAT, messages=messages, user="x", temperature=0, **{length: 12})
        assert status == 200, answer
        [choice] = answer["choices"]
        assert choice["message"]["content"] == tokenizer.decode(wanted, skip_special_tokens=True)
        assert choice["finish_reason"] == ("stop" if wanted[-1] == tokenizer.eos_token_id else "length")
        assert answer["usage"] == {
            "prompt_tokens": len(ids), "completion_tokens": len(wanted), "total_tokens": len(ids) + len(wanted)
        }  # fmt: skip
        assert (answer["object"], answer["model"]) == ("chat.completion", "tiny-writer")


def test_completions_of_several_prompts(writer: Worker) -> None:
    status, answer = call(writer, COMPLETIONS, prompt=LINES[:2], max_tokens=5, n=2, temperature=2.0, seed=3)
    assert status == 200, answer
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    rows = [
        {"text": text, "max_new_tokens": 5, "temperature": 2.0, "seed": seed} for text in LINES[:2] for seed in (3, 4)
    ]
    wanted = writer.json(*({"body": orjson.dumps(row), "content-type": JSON} for row in rows))
    assert [choice["text"] for choice in answer["choices"]] == [each["text"] for each in wanted]
    read = sum(len(writer.handler.tokenizer(text)["input_ids"]) for text in LINES[:2])
    assert answer["usage"]["prompt_tokens"] == read
    assert answer["usage"]["completion_tokens"] == sum(each["tokens"]["written"] for each in wanted)


def test_a_stop_sequence(writer: Worker) -> None:
    _, whole = call(writer, COMPLETIONS, prompt=LINES[0], max_tokens=12)
    text = whole["choices"][0]["text"]
    _, answer = call(writer, COMPLETIONS, prompt=LINES[0], max_tokens=12, stop=["never this", text[2:4]])
    assert answer["choices"][0]["text"] == text[: text.index(text[2:4])]
    assert answer["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_the_pieces_are_the_whole(writer: Worker, frontend: socket.socket, path: str) -> None:
    asked: dict[str, Any] = {"messages": TURNS} if path == CHAT else {"prompt": LINES[0]}
    asked |= {"model": "tiny-writer", "max_tokens": 9, "n": 2, "temperature": 1.5, "seed": 1}
    _, whole = call(writer, path, **asked)
    body = orjson.dumps({**asked, "stream": True, "stream_options": {"include_usage": True}})
    [(status, content_type, last)] = writer.answer([{"body": body}], [headers(path)])
    assert (status, content_type) == (200, "text/event-stream")
    pieces = sent(frontend, b"text/event-stream")
    assert len(pieces) > 3
    lines = b"".join([*(piece for _, piece in pieces), last]).split(b"\n\n")
    assert lines[-2:] == [b"data: [DONE]", b""]
    events = [orjson.loads(line.removeprefix(b"data: ")) for line in lines[:-2]]
    assert len({event["id"] for event in events}) == 1
    assert events[-1]["usage"] == whole["usage"]
    assert events[-1]["choices"] == []
    for index, choice in enumerate(whole["choices"]):
        own = [each for event in events for each in event["choices"] if each["index"] == index]
        assert [each["finish_reason"] for each in own] == [None] * (len(own) - 1) + [choice["finish_reason"]]
        if path == CHAT:
            assert [each["delta"].get("role") for each in own] == ["assistant"] + [None] * (len(own) - 1)
            text = "".join(each["delta"].get("content", "") for each in own)
            assert text == choice["message"]["content"]
        else:
            assert "".join(each["text"] for each in own) == choice["text"]


def test_embeddings(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-embedding")
    texts = [LINES[0], "Ja", LINES[3]]
    folder = worker.handler.artifact.weights
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModel.from_pretrained(folder, local_files_only=True)
    status, answer = call(worker, EMBEDDINGS, input=texts, encoding_format="base64")
    assert status == 200, answer
    total = 0
    for item, text in zip(answer["data"], texts, strict=True):
        inputs = tokenizer(text, return_tensors="pt")
        total += inputs["input_ids"].shape[1]
        with torch.inference_mode():
            wanted = torch.nn.functional.normalize(model(**inputs).last_hidden_state[0].mean(dim=0), dim=0)
        found = np.frombuffer(base64.b64decode(item["embedding"]), "<f4")
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
        alone = call(worker, EMBEDDINGS, input=text)[1]["data"][0]["embedding"]
        np.testing.assert_allclose(np.array(alone, np.float32), found, atol=1e-6)
    assert answer["usage"] == {"prompt_tokens": total, "total_tokens": total}
    [plain] = worker.json({"body": LINES[0].encode(), "content-type": b"text/plain"})
    assert call(worker, EMBEDDINGS, input=LINES[0])[1]["data"][0]["embedding"] == plain["embedding"]


ASKED = {"messages": TURNS, "max_tokens": 2}


@pytest.mark.parametrize(("path", "fields", "code", "param", "message"), [
    (CHAT, {"messages": []}, 400, "messages", "at least one message"),
    (CHAT, {"messages": [{"role": "user"}]}, 422, "messages[0].content", "wanted a text"),
    (CHAT, {"messages": [{"role": "tool", "content": "x"}]}, 422, "messages[0].role", "tools are not supported"),
    (CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, 422,
     "messages[0].content[0].type", "reads text alone"),
    (CHAT, {"messages": [{"role": "user", "content": " "}]}, 422, None, "is empty"),
    (CHAT, {"messages": TURNS * 40}, 413, None, "the model takes 64 together"),
    (CHAT, {**ASKED, "tools": [{}]}, 422, "tools", "does not offer it"),
    (CHAT, {**ASKED, "logprobs": True}, 422, "logprobs", "does not offer it"),
    (CHAT, {**ASKED, "response_format": {"type": "json_object"}}, 422, "response_format", "does not offer it"),
    (CHAT, {**ASKED, "colour": 1}, 422, "colour", "not a parameter"),
    (CHAT, {**ASKED, "n": 0}, 422, "n", "from 1 on"),
    (CHAT, {**ASKED, "n": 1000}, 413, "n", "the limit is 64"),
    (CHAT, {**ASKED, "temperature": -1}, 422, "temperature", "wanted 0 to 10"),
    (CHAT, {**ASKED, "max_tokens": 0}, 422, "max_tokens", "wanted 1 to 63"),
    (CHAT, {**ASKED, "max_completion_tokens": 3}, 422, "max_tokens", "send one"),
    (CHAT, {**ASKED, "stream_options": {}}, 422, "stream_options", "stream: true"),
    (CHAT, {**ASKED, "stream": "yes"}, 422, "stream", "true or false"),
    (CHAT, {**ASKED, "model": "another"}, 422, "model", "the call came to tiny-writer"),
    (CHAT, {**ASKED, "model": None}, 400, "model", "wanted the name"),
    (COMPLETIONS, {"prompt": [1, 2]}, 422, "prompt", "tokens are not taken"),
    (COMPLETIONS, {"prompt": ["Ja", ""], "max_tokens": 2}, 422, "prompt[1]", "is empty"),
    (COMPLETIONS, {"prompt": "Ja", "logprobs": 0}, 422, "logprobs", "does not offer it"),
    (COMPLETIONS, {"prompt": "Ja", "max_tokens": 63}, 413, None, "63 more are to be written"),
    (EMBEDDINGS, {"input": "Ja"}, 422, "model", "/v1/chat/completions and /v1/completions"),
    ("images/generations", {"prompt": "Ja"}, 422, "model", "the call came to /v1/images/generations"),
])  # fmt: skip
def test_refused(writer: Worker, path: str, fields: dict[str, Any], code: int, param: str | None, message: str) -> None:
    status, answer = call(writer, path, **fields)
    assert (status, set(answer)) == (code, {"error"}), answer
    error = answer["error"]
    assert (error["code"], error["param"]) == (code, param), error
    assert message in error["message"]


@pytest.mark.parametrize(("fields", "param"), [
    ({"input": [[1, 2]]}, "input"), ({"input": "Ja", "dimensions": 8}, "dimensions"), ({"input": []}, "input"),
    ({"input": "Ja", "encoding_format": "hex"}, "encoding_format"), ({"input": ["Ja", " "]}, "input[1]"),
])  # fmt: skip
def test_refused_embeddings(load: Callable[[str], Worker], fields: dict[str, Any], param: str) -> None:
    status, answer = call(load("tiny-embedding"), EMBEDDINGS, **fields)
    assert (status in (400, 422), answer["error"]["param"]) == (True, param), answer


def test_a_model_without_a_chat_template(writer: Worker) -> None:
    tokenizer = writer.handler.tokenizer
    template, tokenizer.chat_template = tokenizer.chat_template, None
    try:
        status, answer = call(writer, CHAT, **ASKED)
    finally:
        tokenizer.chat_template = template
    assert (status, answer["error"]["param"]) == (422, "messages")
    assert "/v1/completions" in answer["error"]["message"]


@pytest.mark.parametrize("template", [
    "{{ raise_exception('roles must alternate') }}",
    "{{ messages.__class__.__mro__ }}",
    "{{ messages[0].pop('role') }}",
    "{% for i in range(10**9) %}{% endfor %}",
    "{{ 1 / 0 }}",
    "{{ messages[7].content }}",
])  # fmt: skip
def test_a_template_that_refuses_or_would_run_code(writer: Worker, template: str) -> None:
    tokenizer = writer.handler.tokenizer
    own, tokenizer.chat_template = tokenizer.chat_template, template
    try:
        status, answer = call(writer, CHAT, **ASKED)
    finally:
        tokenizer.chat_template = own
    assert status == 422, answer
    assert answer["error"]["param"] == "messages"
