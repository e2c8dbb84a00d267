"""Every form an input can take gives the same answer as its raw bytes."""

import base64
import gzip
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
import soundfile

from client import Answer, NotFound, RestClient
from client.errors import BadRequest, UnsupportedMedia
from client.stubs.inference_pb2 import PredictionsRequest
from client.stubs.inference_pb2_grpc import InferenceAPIsServiceStub
from deploy.torchserve import TorchServe
from tests.closeness import assert_close
from tests.e2e.conftest import Predict
from tests.inputs import IMAGES, OBSERVATIONS, RATE, encoded, noise, recording

PNG = encoded(IMAGES[2])
BASE64 = base64.b64encode(PNG).decode()
PIXELS = np.asarray(IMAGES[2]).tolist()
SAMPLES = noise(0.5, 0)
OBSERVATION = OBSERVATIONS[0].tolist()

JSON_FORMS: dict[str, list[tuple[str, Any]]] = {
    "tiny-image": [
        ("base64", BASE64),
        ("base64 under a key", {"image": BASE64}),
        ("base64 under b64, KServe's", {"b64": BASE64}),
        ("data URL", {"data": f"data:image/png;base64,{BASE64}"}),
        ("numbers", PIXELS),
        ("numbers under a key", {"data": PIXELS}),
    ],
    "tiny-audio": [
        ("base64", {"audio": base64.b64encode(recording(SAMPLES)).decode()}),
        ("samples", {"data": SAMPLES.tolist(), "sample_rate": RATE}),
    ],
    "tiny-text": [("string", "Où est la gare ?"), ("under a key", {"text": "Où est la gare ?"})],
    "tiny-policy": [("list", OBSERVATION), ("under a key", {"observation": OBSERVATION})],
}
RAW: dict[str, Any] = {
    "tiny-image": PNG,
    "tiny-audio": recording(SAMPLES),
    "tiny-text": "Où est la gare ?",
    "tiny-policy": {"data": OBSERVATION},
}
FRENCH_GZIP = gzip.compress("Où est la gare ?".encode(), mtime=0)


@pytest.mark.parametrize(
    ("model", "value"),
    [pytest.param(model, v, id=f"{model}: {name}") for model, forms in JSON_FORMS.items() for name, v in forms],
)
def test_json(client: Predict, model: str, value: Any) -> None:
    answer = client.predict(model, json.dumps(value), content_type="application/json").json()
    assert_close(answer, client.predict(model, RAW[model]).json())


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)])
def test_audio_files(client: Predict, form: str, subtype: str | None) -> None:
    """Lossy formats carry other samples: the reference is what libsndfile reads from the same file."""
    data = recording(SAMPLES, form, subtype)
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    got = client.predict("tiny-audio", data).json()
    assert_close(got, client.predict("tiny-audio", {"data": samples.tolist(), "sample_rate": rate}).json())


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_image_files(client: Predict, form: str) -> None:
    answer = client.predict("tiny-image", encoded(IMAGES[2], form)).json()
    wanted = client.predict("tiny-image", PNG).json()
    for one, other in zip(answer["predictions"], wanted["predictions"], strict=True):
        assert one["label"] == other["label"]
        assert one["probability"] == pytest.approx(other["probability"], abs=0.1)


@pytest.mark.parametrize("model", JSON_FORMS)
def test_kserve_v1(client: Predict, model: str) -> None:
    """Several instances in one request, answered in their order."""
    instances = [value for _, value in JSON_FORMS[model]]
    answer = client.predict(model, {"instances": instances}).json()
    assert list(answer) == ["predictions"]
    assert len(answer["predictions"]) == len(instances)
    for each in answer["predictions"]:
        assert_close(each, client.predict(model, RAW[model]).json())


def test_kserve_v2(client: Predict) -> None:
    request = {
        "id": "request 7",
        "inputs": [{"name": "observation", "shape": [3, 4], "datatype": "FP32", "data": OBSERVATIONS.ravel().tolist()}],
    }
    answer = client.predict("tiny-policy", request).json()
    assert answer["id"] == "request 7"
    [output] = answer["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [3])
    for text, observation in zip(output["data"], OBSERVATIONS, strict=True):
        assert_close(json.loads(text), client.predict("tiny-policy", {"data": observation.tolist()}).json())


@pytest.mark.parametrize("field", ["data", "body", "image", "file"])
def test_multipart(rest: RestClient, field: str) -> None:
    form = {field: ("photo.png", PNG, "image/png")}
    answer = rest._send("POST", "/predictions/tiny-image", "inference", files=form, data={"top_k": "2"})
    assert_close(answer.json(), {"predictions": rest.predict("tiny-image", PNG).json()["predictions"][:2]})


@pytest.mark.parametrize("content_type", ["image/png; name=x/y.png", 'image/png; name="x"; q=1'])
def test_a_part_whose_type_has_parameters(rest: RestClient, content_type: str) -> None:
    """TorchServe hands over the last of them as the type."""
    form = {"data": ("photo.png", PNG, content_type)}
    answer = rest._send("POST", "/predictions/tiny-image", "inference", files=form)
    assert_close(answer.json(), rest.predict("tiny-image", PNG).json())


def test_two_files_of_one_name(rest: RestClient) -> None:
    files = [("data", ("a.txt", b"one", "text/plain")), ("data", ("b.txt", b"two", "text/plain"))]
    with pytest.raises(BadRequest, match='"data": sent 2 times'):
        rest._send("POST", "/predictions/tiny-text", "inference", files=files)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("Où est la gare ?".encode("latin-1"), {"Content-Type": "text/plain; charset=ISO-8859-1"}),
        ("Où est la gare ?".encode("utf-16"), {"Content-Type": "text/plain; charset=utf-16"}),
        (
            gzip.compress("Où est la gare ?".encode(), mtime=0),
            {"Content-Type": "text/plain", "Content-Encoding": "gzip"},
        ),
    ],
)
def test_charsets_and_compression(rest: RestClient, body: bytes, headers: dict[str, str]) -> None:
    answer = rest._send("POST", "/predictions/tiny-text", "inference", data=body, headers=headers)
    assert_close(answer.json(), rest.predict("tiny-text", "Où est la gare ?").json())


def test_what_is_not_json_on_kserve_s_path(rest: RestClient) -> None:
    """Of binary tensors the protocol's header says how long the JSON before them is."""
    text = b"\x02\x00\x00\x00Ja"
    tensor = {"name": "x", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(text)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Content-Type": "application/octet-stream"}
    with pytest.raises(UnsupportedMedia, match="binary tensors"):
        rest._send("POST", "/v2/models/tiny-text/infer", "inference", data=head + text, headers=headers)
    headers["Inference-Header-Content-Length"] = str(len(head))
    answer = rest._send("POST", "/v2/models/tiny-text/infer", "inference", data=head + text, headers=headers)
    assert_close(json.loads(answer.json()["outputs"][0]["data"][0]), rest.predict("tiny-text", "Ja").json())


def test_a_describe_header_takes_no_neighbour_along(rest: RestClient) -> None:
    """Neighbours in a batch that a caller's header would once have turned into a description of the model."""
    form = {"Content-Type": "multipart/form-data; boundary=x", "describe": "True"}

    def describe() -> Answer:
        path = "/predictions/tiny-policy"
        return rest._send("POST", path, "inference", data=b"--x--\r\n", headers=form)

    wanted = rest.predict("tiny-policy", {"data": OBSERVATION}).json()
    with ThreadPoolExecutor(8) as pool:
        hostile = [pool.submit(describe) for _ in range(60)]
        healthy = [pool.submit(rest.predict, "tiny-policy", {"data": OBSERVATION}) for _ in range(60)]
        for future in healthy:
            assert_close(future.result().json(), wanted)
        assert all("task" in future.result().json() for future in hostile)


@pytest.mark.parametrize("name", ["body", "data", "image"])
def test_the_grpc_input_map(torchserve: TorchServe, rest: RestClient, name: str) -> None:
    """As a caller with nothing but the .proto file writes it."""
    bearer = rest._credentials.bearer("inference")
    with grpc.insecure_channel(torchserve.server.grpc) as channel:
        request = PredictionsRequest(model_name="tiny-image", input={name: PNG, "top_k": b"2"})
        answer = InferenceAPIsServiceStub(channel).Predictions(request, metadata=[("authorization", bearer)])
    wanted = rest.predict("tiny-image", PNG).json()["predictions"][:2]
    assert_close(json.loads(answer.prediction), {"predictions": wanted})


def test_parameters(client: Predict) -> None:
    answer = client.predict("tiny-image", PNG, parameters={"top_k": 1}).json()
    assert_close(answer, {"predictions": client.predict("tiny-image", PNG).json()["predictions"][:1]})


def test_versions(client: Predict) -> None:
    assert_close(client.predict("tiny-image", PNG, version="1.0").json(), client.predict("tiny-image", PNG).json())
    with pytest.raises(NotFound):
        client.predict("tiny-image", PNG, version="9.9")


@pytest.mark.parametrize("model", ["tiny-detection", "tiny-instance", "tiny-semantic"])
def test_images_on_request(client: Predict, model: str) -> None:
    answer = client.predict(model, encoded(IMAGES[0]), accept="image/png")
    assert (answer.content_type, answer.body[:4]) == ("image/png", b"\x89PNG")
