"""The fast form of a model on a GPU: the logic on any machine, the graphs where there is a GPU."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification
from transformers.utils.import_utils import is_tracing

from handlers.acceleration.accelerate import Acceleration
from handlers.acceleration.batch_buckets import Bucket, Buckets, LazyBuckets, bucket_sizes
from handlers.acceleration.cuda_graphs import as_while_capturing
from handlers.acceleration.gpu import accelerated, described
from handlers.acceleration.precision import (
    FLOAT32,
    InPrecision,
    allow_tf32,
)
from handlers.audio.waveform_model import WaveformModel
from handlers.batching.isolation import run_batch
from handlers.errors import InternalError
from handlers.vision.batching import from_device, to_device
from tests.handlers.acceleration.network import EXAMPLE, LARGEST, check_equal, images, network
from tests.handlers.gpu import needs_gpu

# Of two channels, which no broadcast makes three.
BROKEN = torch.zeros(2, 10, 10, dtype=torch.uint8)


def test_tensors_become_a_batch() -> None:
    batch = images(3)
    assert torch.equal(to_device(list(batch), torch.device("cpu")), batch)
    assert all(torch.equal(found, wanted) for found, wanted in zip(from_device(list(batch)), batch, strict=True))


def test_an_item_that_breaks_the_module_does() -> None:
    with pytest.raises(RuntimeError):
        network()(BROKEN[None])


def test_the_switches_of_tf32_are_those_that_may_be_read() -> None:
    """With torch's newer ones set, reading these is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for allowed in (True, False):
            allow_tf32(allowed)
            assert torch.backends.cuda.matmul.allow_tf32 is allowed
            assert torch.backends.cudnn.allow_tf32 is allowed


def test_a_form_is_described() -> None:
    fast = InPrecision(network(), FLOAT32, ", fused")
    assert described(fast) == {"precision": "float32, fused", "graphs": "none"}
    assert described(InPrecision(network().bfloat16(), FLOAT32))["precision"] == "bfloat16"
    inputs = torch.zeros(2, 3)
    buckets = Buckets([Bucket(inputs[:size], (inputs[:size],), lambda: None) for size in (1, 2)], fast)
    assert described(buckets) == {"precision": "float32, fused", "graphs": "batches of 1, 2"}
    lazy = LazyBuckets([16, 32], 4, lambda batch: None, fast)
    assert described(lazy)["graphs"] == "batches of up to 4, made when they first come; of lengths none yet"


def test_code_that_asks_is_told_that_a_graph_is_captured() -> None:
    """transformers leaves out a look at the mask then, which would wait for the device."""
    asked = torch.cuda.is_current_stream_capturing
    with as_while_capturing():
        assert is_tracing()
    assert torch.cuda.is_current_stream_capturing is asked
    assert not is_tracing()


# The tests below need a GPU.


@pytest.fixture(autouse=True)
def _as_torch_starts() -> None:
    allow_tf32(False)


@needs_gpu
@torch.inference_mode()
def test_graphs_answer_as_the_exact_module_at_every_size() -> None:
    exact = InPrecision(network().cuda(), FLOAT32)
    batches = [images(size, size).cuda() for size in range(1, 2 * LARGEST + 1)]
    wanted = [exact(batch)[0] for batch in batches]
    with torch.inference_mode(mode=False):  # as a worker loads its model
        fast = accelerated(network().cuda(), EXAMPLE.cuda(), (0,), LARGEST)
    assert isinstance(fast, Buckets)
    assert fast.sizes == bucket_sizes(LARGEST)
    for order in (range(2 * LARGEST), reversed(range(2 * LARGEST)), (0, 7, 1, 11, 2, 5, 0)):
        for index in order:
            check_equal(fast(batches[index])[0], wanted[index])
            check_equal(fast(batches[index].cpu())[0], wanted[index])


@needs_gpu
@torch.inference_mode()
def test_an_answer_of_a_graph_outlives_the_next_batch() -> None:
    with torch.inference_mode(mode=False):
        fast = accelerated(network().cuda(), EXAMPLE.cuda(), (0,), LARGEST)
    (first,) = fast(images(3, 1).cuda())
    kept = first.clone()
    for size in bucket_sizes(LARGEST):
        fast(images(size, 9).cuda())
    assert torch.equal(first, kept)


class Branching(nn.Module):
    """Does something else for bright images: a graph would keep one branch for good."""

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        means = inputs.float().mean((2, 3))
        return (means if float(means.mean()) > 100 else -means,)


@needs_gpu
@torch.inference_mode()
def test_a_model_that_waits_for_the_device_runs_without_graphs(caplog: pytest.LogCaptureFixture) -> None:
    with torch.inference_mode(mode=False):
        fast = accelerated(Branching().cuda(), EXAMPLE.cuda(), (0,), LARGEST)
    assert not isinstance(fast, Buckets)
    assert "without CUDA graphs" in caplog.text
    for batch in (images(3), images(3) // 2):
        torch.testing.assert_close(fast(batch.cuda())[0].cpu(), Branching()(batch)[0])
    # The device is as it was: another model is captured.
    with torch.inference_mode(mode=False):
        assert isinstance(accelerated(network().cuda(), EXAMPLE.cuda(), (0,), 2), Buckets)


@needs_gpu
@torch.inference_mode()
def test_inputs_that_differ_in_more_than_the_batch_get_no_graph() -> None:
    with torch.inference_mode(mode=False):
        fast = accelerated(network().cuda(), EXAMPLE.cuda(), (0, 2), LARGEST)
    assert not isinstance(fast, Buckets)
    (found,) = fast(torch.zeros(2, 3, 96, 64, dtype=torch.uint8, device="cuda"))
    assert found.shape == (2, 5)


@needs_gpu
@torch.inference_mode()
def test_an_item_that_breaks_a_graphs_batch_is_alone_in_failing() -> None:
    with torch.inference_mode(mode=False):
        fast = accelerated(network().cuda(), EXAMPLE.cuda(), (0,), LARGEST)
    broken = BROKEN
    good = list(images(3))

    def predict(items: list[Tensor]) -> list[Tensor]:
        return list(fast(to_device(items, torch.device("cuda")))[0])

    outputs = run_batch(predict, [good[0], broken, good[1], good[2]])  # type: ignore[arg-type]
    assert isinstance(outputs.pop(1), InternalError)
    alone = [run_batch(predict, [item])[0] for item in good]  # type: ignore[arg-type]
    check_equal(torch.stack(outputs), torch.stack(alone))


@needs_gpu
def test_a_worker_on_a_gpu_takes_graphs(tmp_path: Path) -> None:
    accelerate = Acceleration(torch.device("cuda:0"), 1, tmp_path / "none.onnx", batch_size=LARGEST)
    fast = accelerate(lambda: network().cuda(), EXAMPLE)
    assert isinstance(fast, Buckets)
    assert fast.sizes[-1] == LARGEST


class Tokens(nn.Module):
    """(N, 1, length) → a number for each token and one for each text."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(10, 8), nn.Linear(8, 4)

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        states = self.head(self.embedding(tokens[:, 0]))
        return states, states.mean(1)


@needs_gpu
@torch.inference_mode()
def test_graphs_of_a_few_lengths_are_made_when_they_come() -> None:
    exact = InPrecision(Tokens().cuda(), FLOAT32)
    example = torch.arange(16).remainder(10)[None, None].cuda()
    with torch.inference_mode(mode=False):
        fast = accelerated(Tokens().cuda(), example, (0, 2), 4, lengths=[16, 32])
    assert isinstance(fast, LazyBuckets)
    assert not fast.buckets
    for size, length in ((3, 16), (1, 32), (4, 16), (9, 32), (2, 20), (3, 16)):
        tokens = torch.randint(0, 10, (size, 1, length), device="cuda")
        for found, wanted in zip(fast(tokens), exact(tokens), strict=True):
            check_equal(found.flatten(1), wanted.flatten(1))
    assert set(fast.buckets) == {(3, 1, 16), (1, 1, 32), (4, 1, 16), (4, 1, 32)}
    assert all(bucket is not None for bucket in fast.buckets.values())


@needs_gpu
@torch.inference_mode()
def test_windows_of_a_speech_model_are_graphs() -> None:
    """Of transformers, which looks at masks and draws numbers on its way; a shorter window runs without."""
    settings: dict[str, Any] = {
        **{"conv_dim": (8, 8), "conv_kernel": (10, 8), "conv_stride": (5, 4), "num_feat_extract_layers": 2},
        **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16},
        **{"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8},
    }
    torch.manual_seed(0)
    with torch.inference_mode(mode=False):
        network = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**settings))
        network = network.eval().requires_grad_(False).cuda()
        module = WaveformModel(network, "input_values", lambda output: output.logits.float()).eval()
        windows = torch.randn(9, 1600, device="cuda")
        wanted = [module(windows)[0], module(windows[:2, :900])[0]]
        fast = accelerated(module, windows[:1], (0, 1), 4, lengths=[1600])
    assert isinstance(fast, LazyBuckets)
    for _ in range(2):
        check_equal(fast(windows)[0], wanted[0])
        check_equal(fast(windows[:2, :900])[0], wanted[1])
    assert all(bucket is not None for bucket in fast.buckets.values())
    assert set(fast.buckets) == {(4, 1600), (1, 1600)}
