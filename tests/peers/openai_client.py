"""OpenAI's own client: every call that is answered. Arguments: base URL, key, CA file or "", audio file."""

import json
import ssl
import sys
from pathlib import Path
from typing import Any

from openai import APIStatusError, DefaultHttpxClient, OpenAI

ENGLISH = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Ja"}]


def refused(call: Any, **arguments: Any) -> list[Any]:
    """The class of the client's error, its status, and what it reads of the body."""
    try:
        call(**arguments)
    except APIStatusError as error:
        return [type(error).__name__, error.status_code, error.body]
    return []


def main(url: str, key: str, ca_file: str, audio: str) -> dict[str, Any]:
    context: Any = ssl.create_default_context(cafile=ca_file) if ca_file else True
    http = DefaultHttpxClient(verify=context, trust_env=False)
    client: Any = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, http_client=http)
    found: dict[str, Any] = {"models": [model.id for model in client.models.list()]}
    found["model"] = client.models.retrieve("tiny-writer").model_dump()
    settings: Any = {"model": "tiny-writer", "max_tokens": 8}
    found["chat"] = client.chat.completions.create(messages=ENGLISH, **settings).model_dump()
    options = {"stream": True, "stream_options": {"include_usage": True}}
    events = [each.model_dump() for each in client.chat.completions.create(messages=ENGLISH, **settings, **options)]
    found["chat pieces"] = events
    found["completion"] = client.completions.create(prompt=["Ja", "Where"], n=2, **settings).model_dump()
    drawn: Any = {"prompt": "Ja", "temperature": 1.5, "top_p": 0.9, "seed": 7}
    found["drawn"] = [client.completions.create(**drawn, **settings).choices[0].text for _ in range(2)]
    found["drawn pieces"] = [
        choice.text for each in client.completions.create(**drawn, **settings, stream=True) for choice in each.choices
    ]
    found["vectors"] = [
        [
            item.embedding
            for item in client.embeddings.create(model="tiny-embedding", input=["Ja", "Where"], **form).data
        ]
        for form in ({}, {"encoding_format": "float"})
    ]
    data = Path(audio).read_bytes()
    for form in ("json", "text", "srt", "vtt", "verbose_json"):
        heard = client.audio.transcriptions.create(
            model="tiny-whisper", file=("speech.wav", data), response_format=form, language="de"
        )
        found[form] = heard if isinstance(heard, str) else heard.model_dump()
    heard = client.audio.transcriptions.create(
        model="tiny-whisper",
        file=("speech.wav", data),
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    found["words"] = heard.model_dump()
    pieces = client.audio.transcriptions.create(
        model="tiny-whisper", file=("speech.wav", data), language="de", stream=True
    )
    found["heard pieces"] = [each.model_dump() for each in pieces]
    chat: Any = client.chat.completions.create
    found["refused"] = {
        "model": refused(chat, model="nothing", messages=ENGLISH),
        "path": refused(chat, model="../models", messages=ENGLISH),
        "task": refused(chat, model="tiny-embedding", messages=ENGLISH),
        "tools": refused(chat, messages=ENGLISH, tools=[{"type": "function"}], **settings),
        "temperature": refused(chat, messages=ENGLISH, temperature=99, **settings),
        "key": refused(client.with_options(api_key="wrong").chat.completions.create, messages=ENGLISH, **settings),
        "file": refused(client.audio.transcriptions.create, model="tiny-whisper", file=("a.wav", b"RIFF")),
        "no model": refused(client.models.retrieve, model="nothing"),
    }
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])) + "\n")
