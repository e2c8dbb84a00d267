"""Handlers as subclasses of TorchServe's BaseHandler: its verbs, and its own switches."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.profiler import tensorboard_trace_handler
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.torch_handler.base_handler import BaseHandler

from deploy.configuration import PROJECT
from handlers.artifact import LoadError
from handlers.protocol.response import Response, to_json
from handlers.torchserve.base_handler import device_of
from tests.handlers.gpu import needs_gpu
from tests.handlers.worker import Worker
from tests.inputs import OBSERVATIONS

ROWS = [{"body": json.dumps({"data": row.tolist()}).encode()} for row in OBSERVATIONS[:3]]


@pytest.fixture
def worker(tiny_archive: Callable[[str], Path], tmp_path: Path) -> Worker:
    return Worker(tiny_archive("tiny-policy"), tmp_path)


def test_a_handler_is_a_base_handler(worker: Worker) -> None:
    assert isinstance(worker.handler, BaseHandler)
    assert worker.handler.initialized
    assert worker.handler.manifest["model"]["modelName"] == "tiny-policy"
    assert torch.get_float32_matmul_precision() == "highest"


def test_the_verbs_one_after_the_other_are_handle(worker: Worker) -> None:
    wanted = worker.answer(ROWS)
    handler = worker.handler
    bodies = handler.postprocess(handler.inference(handler.preprocess(ROWS)))
    assert bodies == [body for _, _, body in wanted]


def test_torchserve_s_profiler_traces_the_verbs(
    worker: Worker, tiny_archive: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = worker.answer(ROWS)
    monkeypatch.setenv("ENABLE_TORCH_PROFILER", "true")
    worker = Worker(tiny_archive("tiny-policy"), tmp_path / "profiled")
    worker.handler.profiler_args = {
        "activities": [torch.profiler.ProfilerActivity.CPU],
        "on_trace_ready": tensorboard_trace_handler(str(tmp_path / "traces")),
    }
    assert worker.answer(ROWS) == wanted
    [trace] = (tmp_path / "traces").iterdir()
    names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
    assert {"preprocess", "inference", "postprocess"} <= names


def test_the_profile_switch_reports_each_verb(
    worker: Worker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(worker.context.model_yaml_config["handler"], "profile", True)
    metrics = MetricsCacheYamlImpl(str(PROJECT / "deploy" / "metrics.yaml"))
    metrics.initialize_cache()
    metrics.model_name, metrics.request_ids = "tiny-policy", {0: "a", 1: "b", 2: "c"}
    monkeypatch.setattr(worker.context, "metrics", metrics)
    with caplog.at_level("INFO", "ts.metrics.caching_metric"):
        worker.answer(ROWS)
    for verb in ("preprocess", "inference", "postprocess"):
        assert f"[METRICS]ts_handler_{verb}.Milliseconds:" in caplog.text


def test_explanations_are_asked_for_item_by_item(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """BaseHandler would take the first request's header for the whole batch."""
    [plain, *_] = worker.answer(ROWS)
    headers = [{}, {"explain": "True", "url_path": ""}, {}]  # as on /explanations/MODEL
    first, second, third = worker.answer([ROWS[0]] * 3, headers)
    assert first == third == plain
    assert (second[0], json.loads(second[2])["type"]) == (501, "NotOffered")

    def explain(item: object) -> Response:
        return Response(to_json({"why": "because"}))

    monkeypatch.setattr(worker.handler, "explain", explain, raising=False)
    first, second, third = worker.answer([ROWS[0]] * 3, headers)
    assert first == third == plain
    assert (second[0], json.loads(second[2])) == (200, {"why": "because"})


def context(gpu_id: object) -> SimpleNamespace:
    return SimpleNamespace(system_properties={"gpu_id": gpu_id})


@pytest.mark.parametrize("gpu_id", [None, "", -1, "-1"])
def test_a_worker_without_a_gpu_is_on_the_cpu(gpu_id: object) -> None:
    assert device_of(context(gpu_id)) == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("gpu_id", [0, "1"])
def test_a_gpu_that_torch_cannot_use_is_not_a_cpu(gpu_id: object) -> None:
    with pytest.raises(LoadError, match=rf"GPU {gpu_id}, which torch .* cannot use: .*driver 580 or newer.*7\.5"):
        device_of(context(gpu_id))


@needs_gpu
def test_a_gpu_is_the_workers_current_one_and_one_that_is_not_there_is_told() -> None:
    assert device_of(context(0)) == torch.device("cuda:0")
    assert torch.cuda.current_device() == 0
    with pytest.raises(LoadError, match="cannot use"):
        device_of(context(torch.cuda.device_count()))
