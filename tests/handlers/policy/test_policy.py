"""Policies: the same answers as the model called in Python, alone and in a batch; every bad number named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from handlers.loader import load_model
from tests.closeness import assert_close
from tests.handlers.worker import Worker
from tests.inputs import OBSERVATIONS


def model_of(worker: Worker) -> torch.nn.Module:
    """The exported program itself, where the worker runs a graph."""
    return load_model(worker.handler.artifact, torch.device("cpu"))


def row(data: Any, **parameters: Any) -> dict[str, Any]:
    return {"body": orjson.dumps({"data": data, **parameters})}


def ask(worker: Worker, data: Any, **parameters: Any) -> Any:
    [answer] = worker.json(row(data, **parameters))
    return answer


@torch.inference_mode()
def test_a_discrete_policy_equals_the_model(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-policy")
    logits, values = model_of(worker)(torch.from_numpy(OBSERVATIONS))
    for index, answer in enumerate(worker.json(*(row(o.tolist()) for o in OBSERVATIONS))):
        np.testing.assert_allclose(answer["probabilities"], logits[index].softmax(0).numpy(), atol=1e-6)
        assert answer["value"] == pytest.approx(values[index].item(), abs=1e-6)
        assert answer["action"] == int(logits[index].argmax())
        assert answer["label"] == ["left", "right"][answer["action"]]


@torch.inference_mode()
def test_a_continuous_policy_is_clipped_to_its_bounds(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-torque")
    observation = [0.9, -0.9, 7.0]
    mean, std, value = model_of(worker)(torch.tensor([observation]))
    answer = ask(worker, observation)
    np.testing.assert_allclose(answer["mean"], mean[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(answer["std"], std[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(answer["action"], mean[0].clamp(-0.25, 0.25).numpy(), atol=1e-6)
    assert answer["value"] == pytest.approx(value.item(), abs=1e-5)


@torch.inference_mode()
def test_a_q_network_is_answered_greedily_and_has_no_probabilities(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-values")
    for observation in ([0.5, -1.5], [-30.0, 2.0], [7.0, 7.0]):
        [values] = model_of(worker)(torch.tensor([observation]))
        answer = ask(worker, observation)
        assert set(answer) == {"action", "label", "values", "value"}
        np.testing.assert_allclose(answer["values"], values.numpy(), rtol=1e-5, atol=1e-6)
        assert answer["action"] == int(values.argmax())
        assert answer["value"] == max(answer["values"])
        assert answer["label"] == ["left", "stay", "right"][answer["action"]]
    [(status, _, body)] = worker.answer([row([0.5, 0.5], deterministic=False, seed=1)])
    assert status == 422
    assert "no distribution to draw from" in orjson.loads(body)["message"]


@pytest.mark.parametrize("model", ["tiny-policy", "tiny-torque", "tiny-values"])
@pytest.mark.parametrize("count", [1, 3, 256])
def test_several_observations_are_answered_as_each_alone(load: Callable[[str], Worker], model: str, count: int) -> None:
    """Beside other requests, too, and where all of them together are more than the model is called with at once."""
    worker = load(model)
    size = worker.handler.shape[0]
    data = np.random.default_rng(count).uniform(-0.4, 0.4, (count, size)).round(4).tolist()
    alone = [ask(worker, observation) for observation in data]
    first, several, last = worker.json(row(data[0]), row(data), row(data[-1]))
    assert set(several) == {"predictions"}
    for found, expected in zip([first, *several["predictions"], last], [alone[0], *alone, alone[-1]], strict=True):
        assert_close(found, expected)


def test_sampling_follows_the_probabilities_and_the_seed(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-policy")
    observation = [0.1, 0.2, 0.3, 0.4]
    answers = [ask(worker, observation, deterministic=False, seed=seed) for seed in range(400)]
    assert ask(worker, observation, deterministic=False, seed=7) == answers[7]
    share = np.mean([answer["action"] for answer in answers])
    probability = answers[0]["probabilities"][1]
    assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / 400)


def test_continuous_actions_are_drawn_around_the_mean(load: Callable[[str], Worker]) -> None:
    """The standard deviation is 1 and the bounds ±0.25: as many are clipped as a normal distribution says."""
    answers = ask(load("tiny-torque"), [[0.1, 0.2, 0.3]] * 256, deterministic=False, seed=3)["predictions"]
    actions = np.array([answer["action"][0] for answer in answers])
    mean = answers[0]["mean"][0]
    assert np.abs(actions).max() == pytest.approx(0.25)
    above = torch.distributions.Normal(mean, 1.0).cdf(torch.tensor(0.25)).item()
    assert (actions == np.float32(0.25)).mean() == pytest.approx(1 - above, abs=4 * np.sqrt(0.25 / 256))


def test_the_observations_of_a_batch_are_drawn_independently_and_reproducibly(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-policy")
    same = [[0.1, 0.2, 0.3, 0.4]] * 64
    drawn = ask(worker, same, deterministic=False, seed=11)
    assert ask(worker, same, deterministic=False, seed=11) == drawn
    actions = [answer["action"] for answer in drawn["predictions"]]
    assert set(actions) == {0, 1}
    assert actions[0] == ask(worker, same[0], deterministic=False, seed=11)["action"]
    assert actions != [a["action"] for a in ask(worker, same, deterministic=False, seed=12)["predictions"]]
    without = ask(worker, same * 4, deterministic=False)["predictions"]
    assert {answer["action"] for answer in without} == {0, 1}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[0.1, 0.2, 0.3]", "the observation has shape [3]; wanted [4], or [N, 4] for several"),
        (b"[[0.1, 0.2, 0.3, 0.4], [0.1, 0.2]]", "the observation is ragged; wanted [4], or [N, 4] for several"),
        (b"[[[0.1, 0.2, 0.3, 0.4]]]", "the observation has shape [1, 1, 4]; wanted [4], or [N, 4] for several"),
        (b"[]", "the observation has shape [0]; wanted [4], or [N, 4] for several"),
        (b"[0.1, 0.2, 0.3, null]", "observation[3]: got null, wanted a number"),
        (b"[0.1, {}, 0.3, 0]", "observation[1]: got an object, wanted a number"),
        (b'["a", 0, 0, 0]', 'observation[0]: got "a", wanted a number'),
        (b'[0, 0, "0.5", 0]', 'observation[2]: got "0.5", wanted a number'),
        (b"[true, true, true, false]", "observation[0]: got true, wanted a number"),
        (b"[0, 1e39, 0, 0]", "observation[1]: got 1e+39, wanted a finite 32-bit number"),
        (b"[9, 0, 0, 0]", "observation[0]: got 9, wanted -4.8 to 4.8"),
        (b"[[0, 0, 0, 0], [0, 0, -0.5, 0]]", "observation[1][2]: got -0.5, wanted -0.42 to 0.42"),
        (b'{"data": [0, 0, 0, 0], "seed": -1}', "seed: got -1, wanted 0 to 9.22337e+18"),
    ],
)
def test_bad_observations(load: Callable[[str], Worker], body: bytes, message: str) -> None:
    answers = load("tiny-policy").answer([{"body": body}, row([0, 1e38, 0, -1e38])])
    assert [status for status, _, _ in answers] == [422, 200]
    assert orjson.loads(answers[0][2]) == {"code": 422, "type": "InvalidInput", "message": message}


def test_more_observations_than_the_limit(load: Callable[[str], Worker]) -> None:
    [(status, _, body)] = load("tiny-policy").answer([row([[0.0] * 4] * 257)])
    assert (status, orjson.loads(body)["message"]) == (413, "257 observations in one request; the limit is 256")


def test_a_spec_cannot_ask_a_q_network_to_draw(load: Callable[[str], Worker]) -> None:
    handler = load("tiny-values").handler
    handler.options = {"deterministic": False}
    with pytest.raises(Exception, match="no distribution to draw from"):
        handler.load()


def test_an_output_that_is_not_finite_is_its_own_request_s_error(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A product overflows in the network; the batch's other requests are answered as each alone."""
    worker = load("tiny-products")
    forward, calls = worker.handler.forward, list[int]()

    def counted(inputs: torch.Tensor) -> Any:
        calls.append(len(inputs))
        return forward(inputs)

    monkeypatch.setattr(worker.handler, "forward", counted)
    first, failed, last = worker.answer([row([0.25, 1.0]), row([1e30, 1e30]), row([-0.5, 2.0])])
    assert calls == [3]  # the others do not pay for it with a second run
    assert failed[0] == 500
    assert b"the model's output for this input is not finite" in failed[2]
    assert_close(orjson.loads(first[2]), ask(worker, [0.25, 1.0]))
    assert_close(orjson.loads(last[2]), ask(worker, [-0.5, 2.0]))
