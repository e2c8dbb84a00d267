"""Whether the answers that OpenAI's client has got are those of /predictions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.closeness import assert_close

Ask = Callable[..., Any]
REFUSED = {
    **dict.fromkeys(("model", "path", "no model"), ("NotFoundError", 404)),
    **dict.fromkeys(("task", "tools", "temperature"), ("UnprocessableEntityError", 422)),
    "file": ("BadRequestError", 400),
}


def check(found: dict[str, Any], ask: Ask, audio: Path) -> None:
    """found: of tests/peers/openai_client.py. ask: (model, data, **parameters) → the answer of /predictions."""
    assert (found["model"]["id"], found["model"]["object"]) == ("tiny-writer", "model")
    check_texts(found, ask)
    wanted = [ask("tiny-embedding", text)["embedding"] for text in ("Ja", "Where")]
    for vectors in found["vectors"]:
        assert_close(vectors, wanted)
    check_transcripts(found, ask, audio)
    for name, (kind, code) in REFUSED.items():
        assert found["refused"][name][:2] == [kind, code], (name, found["refused"][name])
        assert found["refused"][name][2]["code"] == code
    assert found["refused"]["temperature"][2]["param"] == "temperature"


def check_texts(found: dict[str, Any], ask: Any) -> None:
    prompt = "system: Be brief.\nuser: Ja\nassistant:"
    wanted = ask("tiny-writer", prompt, max_new_tokens=8)
    [choice] = found["chat"]["choices"]
    assert choice["message"]["content"] == wanted["text"]
    counts = {"prompt_tokens": wanted["tokens"]["read"], "completion_tokens": wanted["tokens"]["written"]}
    assert {name: found["chat"]["usage"][name] for name in counts} == counts
    *events, last = found["chat pieces"]
    assert "".join(each["choices"][0]["delta"]["content"] or "" for each in events) == wanted["text"]
    assert len(events) > 2
    assert events[-1]["choices"][0]["finish_reason"] == choice["finish_reason"]
    assert last["usage"]["total_tokens"] == sum(counts.values())
    texts = [ask("tiny-writer", text, max_new_tokens=8)["text"] for text in ("Ja", "Where") for _ in range(2)]
    assert [each["text"] for each in found["completion"]["choices"]] == texts
    drawn = ask("tiny-writer", "Ja", max_new_tokens=8, temperature=1.5, top_p=0.9, seed=7)["text"]
    assert found["drawn"] == [drawn, drawn]
    assert "".join(found["drawn pieces"]) == drawn


def check_transcripts(found: dict[str, Any], ask: Any, audio: Path) -> None:
    plain = ask("tiny-whisper", audio, language="de")
    assert found["json"]["text"] == plain["text"]
    assert found["text"] == plain["text"] + "\n"
    assert "".join(each["delta"] for each in found["heard pieces"][:-1]) == plain["text"]
    assert found["heard pieces"][-1]["text"] == plain["text"]
    parts = ask("tiny-whisper", audio, language="de", timestamps="segment")
    heard = found["verbose_json"]
    assert (heard["text"], heard["language"], heard["duration"]) == (parts["text"], "de", parts["seconds"])
    assert [(each["start"], each["end"], each["text"]) for each in heard["segments"]] == [
        (each["start"], each["end"], each["text"]) for each in parts["segments"]
    ]
    assert found["srt"].count(" --> ") == found["vtt"].count(" --> ") == len(parts["segments"])
    assert found["vtt"].startswith("WEBVTT\n\n")
    words = ask("tiny-whisper", audio, timestamps="word")["words"]
    assert [each["word"] for each in found["words"]["words"]] == [each["text"] for each in words]
