"""Requests that share a batch: each answer is what its item gets alone, and a broken item fails alone."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from client import Answer, ClientError
from client.payload import Payload
from deploy.run_folder import state_of
from deploy.torchserve import TorchServe
from handlers.torchserve.metrics import INTERVAL
from tests.closeness import assert_close
from tests.e2e.conftest import Predict
from tests.inputs import IMAGES, OBSERVATIONS, TEXTS, encoded, noise, recording

BODIES: list[Payload] = [encoded(image) for image in IMAGES]
CUT = encoded(IMAGES[0])[:400]
LARGEST_SMALL = ("BatchSize_bucket", "2.0")
CASES: dict[str, tuple[Sequence[Payload], Payload, int]] = {
    # model: whole inputs, a broken one, its code
    "tiny-image": (BODIES, CUT, 400),
    "tiny-detection": (BODIES, CUT, 400),
    "tiny-instance": (BODIES, CUT, 400),
    "tiny-semantic": (BODIES, encoded(IMAGES[0], "JPEG")[:2000], 400),
    "tiny-labels": (BODIES, CUT, 400),
    "tiny-vector": (BODIES, CUT, 400),
    "tiny-zero-shot": (BODIES, CUT, 400),
    "tiny-depth": (BODIES, CUT, 400),
    "tiny-keypoints": (BODIES, CUT, 400),
    "tiny-yolo": (BODIES, CUT, 400),
    "tiny-pixels": (BODIES, CUT, 400),
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


@pytest.fixture(scope="module", autouse=True)
def _all_is_reported(torchserve: TorchServe) -> None:
    """Requests of other tests are in the server's metrics by now."""
    time.sleep(INTERVAL + 0.5)


@dataclass(frozen=True)
class Batches:
    """One model in the server's metrics: requests, batches, and those of two requests at most."""

    requests: float
    batches: float
    small: float

    @classmethod
    def of(cls, torchserve: TorchServe, model: str) -> Batches:
        state = state_of(torchserve.run) or {}
        text = requests.get(f"{state['metrics']}/metrics", timeout=10).text
        found = {
            (sample.name.removesuffix("_total"), sample.labels.get("le")): sample.value  # the parser's own ending
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.labels.get("ModelName") == model
        }
        return cls(*(found[key] for key in (("BatchSize_sum", None), ("BatchSize_count", None), LARGEST_SMALL)))


@pytest.mark.parametrize("model", CASES)
def test_a_broken_item_fails_alone(client: Predict, torchserve: TorchServe, model: str) -> None:
    whole, broken, code = CASES[model]
    before = Batches.of(torchserve, model)
    alone = [client.predict(model, payload).json() for payload in whole]
    payloads = [whole[0], broken, *whole[1:]]
    sent = len(alone)
    for _ in range(5):  # the four travel in one batch unless this machine stalls between them
        first, refused, *rest = together(client, model, payloads)
        sent += len(payloads)
        assert isinstance(refused, ClientError)
        assert refused.code == code
        for answer, single in zip([first, *rest], alone, strict=True):
            assert isinstance(answer, Answer), answer
            assert_close(answer.json(), single)
        while (after := Batches.of(torchserve, model)).requests < before.requests + sent:
            time.sleep(0.1)
        assert after.requests == before.requests + sent
        if after.batches - before.batches > after.small - before.small:
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
