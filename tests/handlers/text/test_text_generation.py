"""Generated text: against transformers' own, whatever shares the batch, drawn, stopped, and in pieces."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from handlers.text.generation_state import GenerationState
from tests.handlers.frontend import frontend_of, sent
from tests.handlers.worker import Worker
from tests.tiny_texts import LINES

PROMPTS = [LINES[0], "Ja", LINES[3], "🚉"]


@pytest.fixture(scope="module")
def worker(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Worker:
    return Worker(tiny_archive("tiny-writer"), tmp_path_factory.mktemp("tiny-writer"))


@pytest.fixture
def frontend(worker: Worker) -> Iterator[socket.socket]:
    with frontend_of(worker) as end:
        yield end


def row(**fields: Any) -> dict[str, Any]:
    return {"body": orjson.dumps(fields), "content-type": b"application/json"}


@pytest.mark.parametrize("new_tokens", [1, 12])
def test_the_most_probable_text_equals_that_of_transformers(worker: Worker, new_tokens: int) -> None:
    folder = worker.handler.artifact.weights
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    settings = GenerationConfig(
        max_new_tokens=new_tokens, do_sample=False, pad_token_id=0, eos_token_id=tokenizer.eos_token_id
    )
    answers = worker.json(*(row(text=prompt, max_new_tokens=new_tokens) for prompt in PROMPTS))
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        written = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)[
            0, ids.shape[1] :
        ]
        assert answer["text"] == tokenizer.decode(written, skip_special_tokens=True)
        ended = int(written[-1]) == tokenizer.eos_token_id
        assert answer["finish_reason"] == ("eos_token" if ended else "length")
        assert answer["tokens"] == {"read": ids.shape[1], "written": len(written)}


def test_a_seed_draws_the_same_text_whatever_shares_the_batch(worker: Worker) -> None:
    drawn = [row(text=LINES[0], temperature=2.0, top_p=0.9, seed=seed, max_new_tokens=8) for seed in range(3)]
    alone = [worker.json(each)[0]["text"] for each in drawn]
    together = worker.json(drawn[1], row(text=LINES[2], max_new_tokens=20), drawn[0], drawn[2])
    assert [together[i]["text"] for i in (2, 0, 3)] == alone
    assert len(set(alone)) == 3


def test_a_stop_sequence_is_not_part_of_the_text(worker: Worker) -> None:
    [whole] = worker.json(row(text=LINES[0], max_new_tokens=12))
    assert len(whole["text"]) > 4
    stop = whole["text"][2:4]
    [answer] = worker.json(row(text=LINES[0], max_new_tokens=12, stop=["never this", stop]))
    assert answer["text"] == whole["text"][: whole["text"].index(stop)]
    assert answer["finish_reason"] == "stop_sequence"
    assert answer["tokens"]["written"] < whole["tokens"]["written"]


def test_a_long_prompt_keeps_its_end(worker: Worker) -> None:
    long = " ".join(LINES * 4)
    total = len(worker.handler.tokenizer(long)["input_ids"])
    [answer] = worker.json(row(text=long, max_new_tokens=10))
    assert answer["truncated"] is True
    assert answer["tokens"] == {"read": 54, "sent": total, "written": 10}


def test_no_token_is_beyond_the_models_positions(worker: Worker) -> None:
    """A long prompt that is soon done beside a short one that is not: what is done is still padded."""
    rows = [row(text=" ".join(LINES * 4), max_new_tokens=3), row(text="Ja", max_new_tokens=40)]
    alone = [worker.json(each)[0] for each in rows]
    positions = []
    hook = worker.handler.model.model.register_forward_pre_hook(
        lambda module, args, kwargs: positions.append(int(kwargs["position_ids"].max())), with_kwargs=True
    )
    together = worker.json(*rows)
    hook.remove()
    assert max(positions) < 64
    assert together == alone


def test_a_turn_of_a_chat(worker: Worker) -> None:
    [asked] = worker.json(row(text="Ja", chat=True, max_new_tokens=6))
    assert asked == worker.json(row(text="user: Ja\nassistant:", max_new_tokens=6))[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens: got 0, wanted 1 to 63"),
        ({"max_new_tokens": 64}, "max_new_tokens: got 64"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"seed": "x"}, "seed"),
        ({"stop": ""}, "stop"),
        ({"stop": [1]}, "stop"),
        ({"stop": ["x"] * 9}, "at most 8"),
        ({"stream": "perhaps"}, "stream: got 'perhaps'"),
        ({"stream": True}, "wanted false or StreamPredictions"),  # without a header of HTTP it came over gRPC
        ({"stream": "StreamPredictions"}, "as an entry of a call"),  # in JSON, where no edge can see it
        ({"instances": ["Ja"], "text": None}, ""),
    ],
)
def test_bad_parameters(worker: Worker, fields: dict[str, Any], message: str) -> None:
    (status, _, body), (other, _, _) = worker.answer(
        [row(**({"text": "Ja"} | fields)), row(text="Ja", max_new_tokens=2)]
    )
    assert other == 200
    if message:
        assert status == 422
        assert message in orjson.loads(body)["message"]


REST = {"Content-Length": "1"}


@pytest.mark.parametrize(("headers", "stream"), [(REST, b"true"), ({}, b"StreamPredictions")])
def test_the_pieces_are_the_whole(
    worker: Worker, frontend: socket.socket, headers: dict[str, str], stream: bytes
) -> None:
    """Two streams and two whole answers in one batch, one of them refused."""
    fields = [
        {"text": "🚉", "temperature": 2.0, "seed": 1, "max_new_tokens": 20},
        {"text": LINES[0], "max_new_tokens": 9, "stop": ["qu", "e t"]},
    ]
    whole = worker.json(*(row(**each) for each in fields))
    assert sent(frontend) == []
    asked = {"stream": stream}
    rows = [row(**fields[0]) | asked, row(text=" "), row(**fields[1]) | asked, row(**fields[1])]
    answers = worker.answer(rows, [headers] * 4)
    assert [status for status, _, _ in answers] == [200, 422, 200, 200]
    assert orjson.loads(answers[3][2]) == whole[1]
    pieces = sent(frontend)
    assert {request for request, _ in pieces} == {"a", "c"}
    for request, index, wanted in (("a", 0, whole[0]), ("c", 2, whole[1])):
        lines = [*(piece for name, piece in pieces if name == request), answers[index][2]]
        assert len(lines) > 4
        assert all(line.endswith(b"\n") for line in lines)
        told = [orjson.loads(line) for line in lines]
        assert "".join(each.pop("text") for each in told) == wanted["text"]
        assert told[:-1] == [{}] * (len(told) - 1)
        assert told[-1] == {key: value for key, value in wanted.items() if key != "text"}
    more = [worker.context.get_response_headers(index).get("ts_stream_next") for index in range(4)]
    assert more == (["true", None, "true", None] if headers else ["false"] * 4)


def test_a_text_goes_on_where_an_error_broke_it(
    worker: Worker, frontend: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the batch is halved for want of memory: what was sent is not written again."""
    wanted = worker.json(*(row(text=prompt, max_new_tokens=12) for prompt in PROMPTS[:2]))
    calls = 0
    forward = worker.handler.model.forward

    def short_of_memory(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise torch.OutOfMemoryError("a test's own")
        return forward(*arguments, **named)

    monkeypatch.setattr(worker.handler.model, "forward", short_of_memory)
    rows = [row(text=prompt, max_new_tokens=12, stream=True) for prompt in PROMPTS[:2]]
    answers = worker.answer(rows, [REST] * 2)
    pieces = sent(frontend)
    for name, answer, expected in zip("ab", answers, wanted, strict=True):
        lines = [*(piece for request, piece in pieces if request == name), answer[2]]
        assert "".join(orjson.loads(line)["text"] for line in lines) == expected["text"]


def test_half_a_character_and_half_a_stop_are_held_back() -> None:
    text = "a→b END"
    data = text.encode()

    def decode(ids: Any) -> str:
        return bytes(ids).decode(errors="replace")

    draft = GenerationState([], decode, 100, ["END", "E X"])
    taken = []
    for byte in data:
        draft.add(byte, is_end=False)
        taken.append(draft.take())
    assert taken == ["a", "", "", "→", "b", " ", "", "", ""]
    assert (draft.text, draft.finish_reason) == ("a→b ", "stop_sequence")
