"""The further tasks on texts over both protocols, and answers that come piece by piece."""

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, pipeline

from client import ClientError, GrpcClient, InvalidInput, RestClient
from client.stubs.inference_pb2 import PredictionsRequest
from client.stubs.inference_pb2_grpc import InferenceAPIsServiceStub
from deploy.torchserve import TorchServe
from tests.e2e.conftest import Predict
from tests.inputs import TEXTS
from tests.tiny_texts import LINES

WRITING = {"max_new_tokens": 20, "temperature": 1.5, "seed": 3}


@pytest.fixture
def weights(tiny_archive: Callable[[str], Path]) -> Callable[[str], Path]:
    return lambda name: tiny_archive(name).parents[1] / name / "artifact" / "weights"


def test_entities(client: Predict, weights: Callable[[str], Path]) -> None:
    reference: Any = pipeline("token-classification", str(weights("tiny-entities")), aggregation_strategy="simple")
    for text in LINES:
        found = client.predict("tiny-entities", text).json()["entities"]
        expected = [e for e in reference(text) if e["entity_group"] != "O"]
        assert [(e["label"], e["start"], e["end"]) for e in found] == [
            (e["entity_group"], e["start"], e["end"]) for e in expected
        ]
        assert [e["text"] for e in found] == [text[e["start"] : e["end"]] for e in expected]


@torch.inference_mode()
def test_an_answer_to_a_question(client: Predict, weights: Callable[[str], Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(weights("tiny-answers"), local_files_only=True)
    model = AutoModelForQuestionAnswering.from_pretrained(weights("tiny-answers"), local_files_only=True)
    question = "Where was she born?"
    encoded = tokenizer(question, LINES[1], return_tensors="pt")
    inside = [index for index, part in enumerate(encoded.sequence_ids()) if part == 1]
    output = model(**encoded)
    begin = output.start_logits[0, inside].softmax(0)
    end = output.end_logits[0, inside].softmax(0)
    best = torch.outer(begin, end).triu().tril(29).max().item()
    for answer in (
        client.predict("tiny-answers", {"question": question, "context": LINES[1]}).json(),
        client.predict("tiny-answers", LINES[1], parameters={"question": question}).json(),
        client.predict("tiny-answers", {"instances": [{"question": question, "context": LINES[1]}]}).json()[
            "predictions"
        ][0],
    ):
        [found] = answer["answers"]
        assert found["score"] == pytest.approx(best, abs=1e-5)
        assert found["text"] == LINES[1][found["start"] : found["end"]]


def test_an_embedding_has_length_one(client: Predict) -> None:
    for text in TEXTS:
        assert np.linalg.norm(client.predict("tiny-embedding", text).json()["embedding"]) == pytest.approx(1, abs=1e-5)


def test_a_stream_is_the_whole_answer_in_pieces(client: Predict) -> None:
    whole = client.predict("tiny-writer", LINES[0], parameters=WRITING).json()
    pieces = [piece.json() for piece in client.stream("tiny-writer", LINES[0], parameters=WRITING)]
    assert len(pieces) > 5
    assert "".join(piece["text"] for piece in pieces) == whole["text"]
    assert {**pieces[-1], "text": whole["text"]} == whole
    assert all(list(piece) == ["text"] for piece in pieces[:-1])


def test_a_stream_that_is_refused(client: Predict) -> None:
    with pytest.raises(InvalidInput, match="top_p"):
        list(client.stream("tiny-writer", "Ja", parameters={"top_p": 2}))
    with pytest.raises(InvalidInput, match="the text is empty"):
        list(client.stream("tiny-writer", " "))


@pytest.mark.parametrize("model", ["tiny-text", "tiny-embedding"])
def test_a_stream_of_a_model_that_does_not_stream(client: Predict, model: str) -> None:
    """One piece, over gRPC too, where TorchServe would lose the worker over an answer that does not end the stream."""
    [piece] = client.stream(model, TEXTS[0])
    assert piece.json() == client.predict(model, TEXTS[0]).json()
    with pytest.raises(ClientError):
        list(client.stream(model, ""))


def test_streams_whole_answers_and_bad_requests_together(rest: RestClient, torchserve: TorchServe) -> None:
    with GrpcClient(torchserve.server) as rpc:
        prompts = [f"{line} {number}" for number, line in enumerate(LINES * 2)]
        wanted = [rest.predict("tiny-writer", prompt, parameters=WRITING).json()["text"] for prompt in prompts]
        found: dict[int, Any] = {}

        def ask(number: int, client: Predict, stream: bool) -> None:
            prompt = prompts[number]
            if stream:
                pieces = client.stream("tiny-writer", prompt, parameters=WRITING)
                found[number] = "".join(piece.json()["text"] for piece in pieces)
            else:
                found[number] = client.predict("tiny-writer", prompt, parameters=WRITING).json()["text"]

        def ask_badly() -> None:
            with pytest.raises(InvalidInput):
                rest.predict("tiny-writer", "x", parameters={"temperature": -1})

        ways = itertools.cycle([(rest, True), (rpc, True), (rest, False), (rpc, False)])
        threads = [threading.Thread(target=ask, args=(n, *next(ways))) for n in range(len(prompts))]
        threads += [threading.Thread(target=ask_badly) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [found[number] for number in range(len(prompts))] == wanted


def test_as_curl_sees_a_stream(rest: RestClient, torchserve: TorchServe) -> None:
    bearer = rest._credentials.bearer("inference") or ""
    with requests.post(
        f"{torchserve.server.inference}/predictions/tiny-writer",
        json={"text": LINES[0], "stream": True, **WRITING},
        headers={"Authorization": bearer},
        stream=True,
        timeout=30,
    ) as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert response.headers["Content-Type"] == "application/x-ndjson"
        assert len(list(response.iter_lines())) > 5


def test_a_plain_grpc_call_cannot_ask_for_pieces(rest: RestClient, torchserve: TorchServe) -> None:
    """A second piece would end the worker, so the parameter of REST is refused."""
    metadata = [("authorization", rest._credentials.bearer("inference"))]
    with grpc.insecure_channel(torchserve.server.grpc) as channel:
        request = PredictionsRequest(model_name="tiny-writer", input={"body": b"Ja", "stream": b"true"})
        answer = InferenceAPIsServiceStub(channel).Predictions(request, metadata=metadata)
    assert b"wanted false or StreamPredictions" in answer.prediction
