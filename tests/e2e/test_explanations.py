"""Explanations over REST and gRPC: by a name of their own, by TorchServe's path, and by the redirect from it."""

import json

import pytest
import requests

from client import NotFound, RestManagement
from client.credentials import Credentials
from client.errors import InvalidInput
from deploy.torchserve import TorchServe
from tests.e2e.conftest import Predict
from tests.inputs import IMAGES, encoded

IMAGE = encoded(IMAGES[0])
TEXT = "The train to the coast leaves at nine."


def test_both_protocols_explain_alike(client: Predict) -> None:
    found = client.explain("tiny-image", IMAGE, parameters={"method": "saliency", "grid": 4}).json()
    predicted = client.predict("tiny-image", IMAGE, parameters={"top_k": 1}).json()["predictions"][0]
    assert found["target"]["label"] == predicted["label"]
    assert found["method"] == "saliency"
    assert len(found["attributions"]) == 4
    tokens = client.explain("tiny-topics", TEXT, parameters={"n_steps": 5}).json()["attributions"]
    assert "".join(TEXT[token["start"] : token["end"]] for token in tokens) == TEXT.replace(" ", "")


def test_a_heat_map_comes_as_png(client: Predict) -> None:
    answer = client.explain("tiny-image", IMAGE, accept="image/png", parameters={"method": "grad-cam"})
    assert answer.content_type == "image/png"
    assert answer.body.startswith(b"\x89PNG")


def test_errors_have_the_documented_form(client: Predict) -> None:
    with pytest.raises(InvalidInput, match="n_steps: got 100000, wanted 1 to 500"):
        client.explain("tiny-image", IMAGE, parameters={"n_steps": 100_000})
    with pytest.raises(NotFound):
        client.explain("tiny-policy", {"data": [0.0] * 4})


def test_torchserves_own_path_leads_to_the_workers_of_explanations(torchserve: TorchServe) -> None:
    bearer = Credentials(torchserve.server).bearer("inference")
    headers = {"Content-Type": "image/png", "Authorization": bearer or ""}
    url = f"{torchserve.server.inference}/explanations/tiny-image"
    answer = requests.post(url, data=IMAGE, headers=headers, allow_redirects=False, timeout=30)
    assert (answer.status_code, answer.headers["Location"]) == (307, "/explanations/tiny-image.explain/1.0")
    followed = requests.post(url, data=IMAGE, headers=headers, timeout=30)
    assert followed.status_code == 200
    assert followed.json()["method"] == "integrated-gradients"
    refused = requests.post(
        f"{torchserve.server.inference}/explanations/tiny-policy",
        data=json.dumps({"data": [0.0] * 4}),
        headers={**headers, "Content-Type": "application/json"},
        timeout=30,
    )
    assert (refused.status_code, refused.json()["type"]) == (501, "NotOffered")


def test_they_have_a_queue_and_a_worker_of_their_own(torchserve: TorchServe) -> None:
    with RestManagement(torchserve.server) as management:
        explainer, model = management.describe("tiny-image.explain"), management.describe("tiny-image")
    assert (explainer.batch_size, len(explainer.workers)) == (1, 1)
    assert {worker.pid for worker in explainer.workers}.isdisjoint(worker.pid for worker in model.workers)
