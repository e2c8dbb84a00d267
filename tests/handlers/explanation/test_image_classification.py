"""Explanations of images, compared with Captum called by hand on the same network."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam, Occlusion, Saliency
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from archiver.verification.explanation_schemas import check
from tests.handlers.worker import Worker
from tests.inputs import IMAGES, encoded
from tests.tiny_artifacts import TRANSFORM

ROW = {"body": encoded(IMAGES[0])}
LABELS = ["cat", "dog", "bird"]
# Of the largest attribution: on a path through many kinks of a steep network float32 differs from itself by as much.
ROUNDING = 0.01


@pytest.fixture(scope="module")
def worker(explainer: Callable[[str], Worker]) -> Worker:
    return explainer("tiny-image")


@pytest.fixture(scope="module")
def network(worker: Worker) -> nn.Module:
    model = mobilenet_v2(weights=None, num_classes=3, width_mult=0.25)
    model.load_state_dict(load_file(worker.handler.artifact.weights))
    return model.double().eval()


def assert_near(found: Any, expected: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


def normalised(image: Image.Image) -> Tensor:
    pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    return TRANSFORM(pixels)[None].double()


def cells(values: Tensor, size: int) -> NDArray[np.float64]:
    """Sums over a grid of size × size equal cells, in another way than the handler's."""
    side = values.shape[-1] // size
    return values.detach().double().unfold(0, side, side).unfold(1, side, side).sum(dim=(2, 3)).numpy()


def ask(worker: Worker, **parameters: object) -> dict[str, Any]:
    [answer] = worker.json({**ROW, "grid": b"12", **{name: str(value).encode() for name, value in parameters.items()}})
    assert not check("image-classification", answer, LABELS, "the answer")
    return answer


def test_integrated_gradients_are_captums(worker: Worker, network: nn.Module) -> None:
    found = ask(worker, n_steps=20, baseline="grey", target="dog")
    grey = normalised(Image.new("RGB", IMAGES[0].size, (127, 127, 127)))
    inputs = normalised(IMAGES[0])
    expected, delta = IntegratedGradients(network).attribute(
        inputs, grey, target=1, n_steps=20, return_convergence_delta=True
    )
    summed = cells(expected[0].sum(dim=0), 12)
    assert_near(found["attributions"], summed)
    with torch.no_grad():
        before, after = (float(network(each)[0, 1]) for each in (grey, inputs))
    complete = found["completeness"]
    assert (complete["baseline"], complete["score"]) == pytest.approx((before, after), rel=1e-3, abs=1e-4)
    assert complete["delta"] == pytest.approx(float(delta), abs=ROUNDING * np.abs(summed).max())
    assert (found["target"]["label"], found["n_steps"]) == ("dog", 20)


def test_without_n_steps_they_grow_until_the_attributions_are_complete(worker: Worker) -> None:
    complete = ask(worker)["completeness"]
    assert complete["holds"]
    assert complete["sum"] == pytest.approx(complete["score"] - complete["baseline"], rel=0.05, abs=0.01)
    rough = ask(worker, n_steps=1)["completeness"]
    assert not rough["holds"]
    assert abs(rough["delta"]) > abs(complete["delta"])


def test_the_cells_of_any_grid_sum_to_the_same(worker: Worker) -> None:
    total = ask(worker, n_steps=4)["completeness"]["sum"]
    for grid in (1, 7, 112):
        values = np.asarray(ask(worker, n_steps=4, grid=grid)["attributions"])
        assert values.shape == (min(grid, 96),) * 2
        assert values.sum() == pytest.approx(total, rel=1e-3, abs=1e-4)


def test_occlusion_is_captums(worker: Worker, network: nn.Module) -> None:
    found = ask(worker, method="occlusion", window=24, stride=12, baseline="white", target=2)
    white = normalised(Image.new("RGB", IMAGES[0].size, (255, 255, 255)))
    expected = Occlusion(network).attribute(
        normalised(IMAGES[0]), (3, 24, 24), strides=(3, 12, 12), baselines=white, target=2
    )
    assert_near(found["attributions"], cells(expected[0].sum(dim=0), 12))
    assert found["evaluations"] == 7 * 7 + 2


def test_saliency_and_grad_cam_are_captums(worker: Worker, network: nn.Module) -> None:
    inputs = normalised(IMAGES[0]).requires_grad_(True)
    scale = torch.tensor(TRANSFORM.std).mul(255).view(3, 1, 1)  # ours are by pixels' levels
    expected = (Saliency(network).attribute(inputs, target=0)[0] / scale).sum(dim=0)
    assert_near(ask(worker, method="saliency", target=0)["attributions"], cells(expected, 12))
    maps = LayerGradCam(network, network.features).attribute(inputs, target=0, relu_attributions=True)[0, 0]
    found = ask(worker, method="grad-cam", target=0)["attributions"]
    assert_near(found, maps.detach().numpy())


def test_the_target_is_the_class_that_is_predicted(worker: Worker, network: nn.Module) -> None:
    with torch.no_grad():
        logits = network(normalised(IMAGES[0]))[0]
    target = ask(worker, method="saliency")["target"]
    assert target["index"] == int(logits.argmax())
    assert target["score"] == pytest.approx(float(logits.max()), rel=1e-3)


def test_a_batch_is_its_items_and_a_bad_one_fails_alone(worker: Worker) -> None:
    rows = [{"body": encoded(each), "method": b"saliency"} for each in IMAGES[:3]]
    alone = [worker.json(row)[0] for row in rows]
    headers = [{"explain": "True", "url_path": ""}, {}, {"explain": "False", "url_path": ""}, {"describe": "True"}]
    answers = worker.answer([rows[0], {**rows[1], "n_steps": b"3"}, rows[1], rows[2]], headers)
    assert [status for status, _, _ in answers] == [200, 422, 200, 200]
    for place, single in ((0, alone[0]), (2, alone[1]), (3, alone[2])):
        assert orjson.loads(answers[place][2]) == single


def test_a_heat_map_has_the_size_of_the_image(worker: Worker) -> None:
    for method in ("occlusion", "grad-cam"):
        [(status, content_type, body)] = worker.answer([{**ROW, "method": method.encode(), "accept": b"image/png"}])
        assert (status, content_type) == (200, "image/png")
        drawn = Image.open(io.BytesIO(body))
        assert drawn.size == IMAGES[0].size
        pixels = np.asarray(drawn.convert("RGB"), int)
        assert (abs(pixels[..., 0] - pixels[..., 2]) > 40).any(), "nothing is coloured"


REFUSED = {
    "n_steps: got 501, wanted 1 to 500": {"n_steps": b"501"},
    "window 2, stride 1: 9025 runs of the model, the limit is 500; wanted a larger window and stride": {
        "method": b"occlusion",
        "window": b"2",
    },
    "window: got 97, wanted 1 to 96": {"method": b"occlusion", "window": b"97"},
    'target: got "cow", wanted a label of the model or an index below 3': {"target": b"cow"},
    'target: got "3", wanted a label of the model or an index below 3': {"target": b"3"},
    'method: got "lime", wanted one of integrated-gradients, occlusion, grad-cam, saliency': {"method": b"lime"},
    'baseline: got "red", wanted one of black, grey, white, blur': {"baseline": b"red"},
    "grid: got 113, wanted 1 to 112": {"grid": b"113"},
    '"window": not a parameter of this request': {"window": b"8"},
}


@pytest.mark.parametrize("message", REFUSED)
def test_limits_and_bad_parameters_are_answered_with_422(worker: Worker, message: str) -> None:
    [(status, _, body)] = worker.answer([{**ROW, **REFUSED[message]}])
    assert status == 422
    assert orjson.loads(body)["message"].startswith(message)


def test_instances_share_the_limit_on_runs_of_the_model(worker: Worker) -> None:
    instance = {"image": {"b64": base64.b64encode(ROW["body"]).decode()}, "n_steps": 200}
    body = orjson.dumps({"instances": [instance] * 3})
    [(status, _, answer)] = worker.answer([{"body": body}], [{"content-type": "application/json"}])
    assert status == 422
    assert orjson.loads(answer)["message"].startswith("3 explanations: 600 runs of the model, the limit is 500")


def test_a_deadline_ends_an_explanation(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = worker.handler.explain_limits
    monkeypatch.setattr(worker.handler, "explain_limits", type(limits)(500, 0.0, 50))
    [(status, _, body)] = worker.answer([ROW])
    assert (status, orjson.loads(body)["type"]) == (422, "TooSlow")
    assert "longer than its time limit" in orjson.loads(body)["message"]
