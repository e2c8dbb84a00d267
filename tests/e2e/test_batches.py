"""Requests that share a batch: each answer is what its item gets alone, and a broken item fails alone."""

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from client import Answer, ClientError
from client.payload import Payload
from deploy.torchserve import TorchServe, state_of
from tests.closeness import assert_close
from tests.e2e.conftest import Predict
from tests.inputs import OBSERVATIONS, PICTURES, TEXTS, encoded, noise, recording

IMAGES: list[Payload] = [encoded(picture) for picture in PICTURES]
CUT = encoded(PICTURES[0])[:400]
CASES: dict[str, tuple[Sequence[Payload], Payload, int]] = {
    # model: whole inputs, a broken one, its code
    "tiny-image": (IMAGES, CUT, 400),
    "tiny-detection": (IMAGES, CUT, 400),
    "tiny-instance": (IMAGES, CUT, 400),
    "tiny-semantic": (IMAGES, encoded(PICTURES[0], "JPEG")[:2000], 400),
    "tiny-audio": ([recording(noise(s, 3)) for s in (0.2, 2.1, 0.5)], recording(noise(6.0, 5)), 413),
    "tiny-text": (TEXTS, "x" * 501, 413),
    "tiny-topics": (TEXTS, " ", 422),
    "tiny-embedding": (TEXTS, {"text": ["no", "text"]}, 422),
    "tiny-entities": (TEXTS, "x" * 100_001, 413),
    "tiny-answers": ([{"question": "Who?", "context": text} for text in TEXTS], {"context": "no question"}, 422),
    "tiny-writer": ([{"text": text, "max_new_tokens": 8} for text in TEXTS], {"text": "x", "top_p": 2}, 422),
    "tiny-policy": ([{"data": o.tolist()} for o in OBSERVATIONS], {"data": [0.1, 0.2, 0.3]}, 422),
    "tiny-torque": ([{"data": [0.1, 0.2, x]} for x in (0.3, 4.0, -7.0)], {"data": [0.1, None, 0.3]}, 422),
}


def together(client: Predict, model: str, payloads: Sequence[Payload]) -> list[Answer | ClientError]:
    """All at once, a thread each: the answers or errors, in the order of the payloads."""

    def ask(payload: Payload) -> Answer | ClientError:
        try:
            return client.predict(model, payload)
        except ClientError as error:
            return error

    with ThreadPoolExecutor(len(payloads)) as pool:
        return list(pool.map(ask, payloads))


def batches(torchserve: TorchServe, model: str) -> dict[float, float]:
    """Number of batches of at most so many requests, from the server's own histogram, once it stands still: a worker
    reports a batch when its answer has gone."""
    state = state_of(torchserve.run) or {}
    found: dict[float, float] = {}
    while True:
        last = found
        text = requests.get(f"{state['metrics']}/metrics", timeout=10).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        found = {
            float(sample.labels["le"]): sample.value
            for sample in samples
            if sample.name == "BatchSize_bucket" and sample.labels["ModelName"] == model
        }
        if found and found == last:
            return found
        time.sleep(0.05)


@pytest.mark.parametrize("model", CASES)
def test_a_broken_item_fails_alone(client: Predict, torchserve: TorchServe, model: str) -> None:
    whole, broken, code = CASES[model]
    alone = [client.predict(model, payload).json() for payload in whole]
    payloads = [whole[0], broken, *whole[1:]]
    for _ in range(5):  # the four travel in one batch unless this machine stalls between them
        before = batches(torchserve, model)
        first, refused, *rest = together(client, model, payloads)
        after = batches(torchserve, model)
        assert isinstance(refused, ClientError)
        assert refused.code == code
        for answer, single in zip([first, *rest], alone, strict=True):
            assert isinstance(answer, Answer), answer
            assert_close(answer.json(), single)
        shared = sum(after.values()) - sum(before.values())
        if shared and after[2.5] == before[2.5]:
            return
    raise AssertionError("the requests never shared a batch")


def test_nothing_is_lost_under_a_mixed_load(client: Predict) -> None:
    """Three hundred requests of all tasks from sixteen threads, a quarter of them broken."""
    work: list[tuple[str, Payload, int | None]] = []
    for model, (whole, broken, code) in CASES.items():
        cycle = itertools.cycle([*((payload, None) for payload in whole), (broken, code)])
        work += [(model, *next(cycle)) for _ in range(300 // len(CASES))]
    work.sort(key=lambda item: hash(str(item[1])[:50]) % 97)

    def code_of(item: tuple[str, Any, int | None]) -> int | None:
        try:
            client.predict(item[0], item[1])
        except ClientError as error:
            return error.code
        return None

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(code_of, work)) == [code for _, _, code in work]
