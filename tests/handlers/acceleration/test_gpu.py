"""The fast form of a model on a GPU: the logic on any machine, the graphs where there is a GPU."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from handlers.acceleration.accelerate import Acceleration
from handlers.acceleration.batch_buckets import Bucket, Buckets, bucket_sizes
from handlers.acceleration.equivalence import PROBABILITY, mismatch
from handlers.acceleration.gpu import accelerated
from handlers.acceleration.precision import (
    CANDIDATES,
    FLOAT32,
    InPrecision,
    allow_tf32,
    in_fastest_precision,
    store_weights,
)
from handlers.batching.isolation import run_batch
from handlers.errors import InternalError
from handlers.networks.normalised import Normalised
from handlers.vision.batching import to_device
from handlers.vision.transform import ImageTransform

TRANSFORM = ImageTransform(resize=64, crop=(64, 64))
EXAMPLE = TRANSFORM.example()
LARGEST = 6
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def network() -> Normalised:
    """Small, with random weights and batch norms that fit them, so that it answers as trained ones do."""
    torch.manual_seed(0)
    model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=5).requires_grad_(False)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # the plain mean of what it has seen
    model.train()(TRANSFORM.normalise(images(32)))
    return Normalised(model.eval(), TRANSFORM).eval()


def images(size: int, seed: int = 0) -> Tensor:
    """Noise over colours of their own, so that each has an answer of its own."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.randint(0, 192, (size, 3, 1, 1), generator=generator)
    return (colours + torch.randint(0, 64, (size, 3, 64, 64), generator=generator)).to(torch.uint8)


def check_equal(found: Tensor, wanted: Tensor) -> None:
    """Row by row, as float16 has it: within 3 % of the norm, which is a fraction of what rows differ by."""
    assert found.shape == wanted.shape
    found, wanted = found.float().cpu(), wanted.float().cpu()
    assert ((found - wanted).norm(dim=1) <= 0.03 * wanted.norm(dim=1)).all()


def still(module: nn.Module, size: int) -> Bucket:
    """A bucket as a graph is one: a run of one size over memory that stays; on a CPU the module runs again instead."""
    inputs = EXAMPLE.repeat(size, 1, 1, 1)
    outputs = tuple(module(inputs))

    def replay() -> None:
        for output, new in zip(outputs, module(inputs), strict=True):
            output.copy_(new)

    return Bucket(inputs, outputs, replay)


@torch.inference_mode()
def test_rows_differ_by_more_than_they_are_compared_to() -> None:
    (answers,) = network()(images(12))
    apart = torch.cdist(answers, answers) + torch.eye(12) * 1e9
    assert (apart.min(dim=1).values > 0.06 * answers.norm(dim=1)).all()


@torch.inference_mode()
def test_half_precision_is_within_the_comparison() -> None:
    (wanted,) = network()(images(12))
    check_equal(InPrecision(network(), CANDIDATES[0])(images(12))[0], wanted)


@pytest.mark.parametrize(
    ("largest", "sizes"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 3, 4, 5]), (32, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32])]
)
def test_buckets_go_up_to_the_largest_batch(largest: int, sizes: list[int]) -> None:
    assert bucket_sizes(largest) == sizes


def test_at_most_a_third_of_a_run_is_filling() -> None:
    for largest in (1, 7, 33, 100, 1024):
        sizes = bucket_sizes(largest)
        assert sizes[-1] == largest
        assert all(3 * (above - below - 1) <= above for below, above in pairwise(sizes))


@torch.inference_mode()
def test_every_batch_size_answers_as_the_module_does() -> None:
    module = network()
    buckets = Buckets([still(module, size) for size in bucket_sizes(LARGEST)], module)
    # Down and up again: what an earlier batch left behind must not be seen.
    for size in [*range(2 * LARGEST, 0, -1), *range(1, 2 * LARGEST + 1), 13]:
        batch = images(size, size)
        for found, wanted in zip(buckets(batch), module(batch), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_an_answer_outlives_the_next_batch() -> None:
    module = network()
    buckets = Buckets([still(module, 2)], module)
    (first,) = buckets(images(2, 1))
    kept = first.clone()
    buckets(images(2, 2))
    assert torch.equal(first, kept)


def test_the_smallest_bucket_that_fits_is_run_and_larger_batches_are_split() -> None:
    ran: list[int] = []

    def counting(size: int) -> Bucket:
        inputs = torch.zeros(size, 1)
        return Bucket(inputs, (inputs * 2,), lambda: ran.append(size))

    buckets = Buckets([counting(size) for size in (4, 1, 2)], lambda batch: (batch,))
    for size in (1, 2, 3, 4, 5, 11):
        buckets(torch.ones(size, 1))
    assert ran == [1, 2, 4, 4, 4, 1, 4, 4, 4]


def test_another_shape_or_type_runs_otherwise() -> None:
    def refuse() -> None:
        raise AssertionError("the bucket ran")

    inputs = torch.zeros(2, 3)
    buckets = Buckets([Bucket(inputs, (inputs,), refuse)], lambda batch: (batch.sum(),))
    for batch in (torch.ones(2, 4), torch.ones(2, 3, dtype=torch.float64), torch.ones(0, 3)):
        assert buckets(batch)[0] == batch.sum()


def test_agreement_is_of_probabilities_and_of_norms() -> None:
    logits = torch.tensor([[2.0, 1.0, -3.0], [0.0, 0.5, 0.1]])
    assert mismatch([logits], [logits]) == ""
    assert mismatch([logits * 1.002], [logits]) == ""
    assert "would differ by" in mismatch([logits * 1.02], [logits])
    large = torch.tensor([[900.0, 900.0, 0.0]])
    moved = large + torch.tensor([[0.1, 0.0, 0.0]])  # a ten-thousandth of the norm, and 0.025 of a probability
    assert "probability" in mismatch([moved], [large])
    assert (moved.softmax(1) - large.softmax(1)).abs().max() > PROBABILITY
    assert mismatch([logits / 0], [logits])
    assert "shape" in mismatch([logits[:1]], [logits])
    assert "outputs" in mismatch([], [logits])


@torch.no_grad()
def test_float16_answers_as_float32_and_its_weights_are_stored_so() -> None:
    module = network()
    wanted = module(images(3))
    fast = in_fastest_precision(module, EXAMPLE)
    assert fast.precision.dtype is torch.float16
    stored = {name: parameter.dtype for name, parameter in module.named_parameters()}
    assert stored["network.fc.weight"] is torch.float16
    assert stored["network.bn1.weight"] is torch.float32  # a batch norm's
    found = fast(images(3))
    assert [part.dtype for part in found] == [torch.float32]
    assert mismatch(found, wanted) == ""


class Huge(nn.Module):
    """Passes through values beyond float16, which end at 65504, but not beyond bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.grow, self.shrink = nn.Linear(3, 4), nn.Linear(4, 2)
        nn.init.constant_(self.grow.weight, 1e5)
        nn.init.constant_(self.shrink.weight, 1e-5)
        nn.init.zeros_(self.grow.bias)
        nn.init.zeros_(self.shrink.bias)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return (self.shrink(self.grow(inputs)),)


class Sharp(nn.Module):
    """Its answer is the last bits of a sum, which no shorter type holds."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = nn.Linear(3, 1)
        nn.init.constant_(self.sum.weight, 1.0)
        nn.init.zeros_(self.sum.bias)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return ((self.sum(inputs + 1000) - 3000).reshape(-1),)


@torch.no_grad()
@pytest.mark.parametrize(("module", "name"), [(Huge(), "bfloat16"), (Sharp(), "TF32")])
def test_a_precision_that_changes_the_answers_is_not_used(
    module: nn.Module, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    wanted = module(inputs)
    fast = in_fastest_precision(module, inputs[:1])
    assert fast.precision.name == name  # on a CPU TF32 is float32
    assert "does not run in float16" in caplog.text
    assert mismatch(fast(inputs), wanted) == ""


class Failing(nn.Module):
    """Runs in no autocast, as a module that names its own types may not."""

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("expected Float but found Half")
        return (inputs.sum(1),)


@torch.no_grad()
def test_a_model_that_no_autocast_runs_stays_float32() -> None:
    assert in_fastest_precision(Failing(), torch.rand(1, 3)).precision.dtype is None


class Lost(nn.Module):
    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return (inputs.sum(1),)


def test_a_lost_device_is_no_question_of_precision() -> None:
    with pytest.raises(RuntimeError, match="illegal memory access"):
        in_fastest_precision(Lost(), torch.rand(1, 3))


def test_a_weight_of_two_layers_stays_as_it_is() -> None:
    embedding, head, own = nn.Embedding(4, 3), nn.Linear(3, 4, bias=False), nn.Linear(3, 3)
    head.weight = embedding.weight
    store_weights(nn.ModuleList([embedding, head, own]), torch.float16)
    assert embedding.weight.dtype is torch.float32
    assert own.weight.dtype is own.bias.dtype is torch.float16


def test_rounding_the_weights_first_changes_nothing() -> None:
    module = nn.Conv2d(3, 4, 3)
    inputs = torch.rand(2, 3, 9, 9)
    fast = InPrecision(Tupled(module), CANDIDATES[0])
    with torch.no_grad():
        (before,) = fast(inputs)
        store_weights(fast, torch.float16)
        assert torch.equal(fast(inputs)[0], before)


class Tupled(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return (self.module(inputs),)


def test_tensors_become_a_batch() -> None:
    batch = images(3)
    assert torch.equal(to_device(list(batch), torch.device("cpu")), batch)


# The tests below need a GPU.


@pytest.fixture(autouse=True)
def _as_torch_starts() -> None:
    allow_tf32(False)


@GPU
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


@GPU
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


@GPU
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


@GPU
@torch.inference_mode()
def test_inputs_that_differ_in_more_than_the_batch_get_no_graph() -> None:
    with torch.inference_mode(mode=False):
        fast = accelerated(network().cuda(), EXAMPLE.cuda(), (0, 2), LARGEST)
    assert not isinstance(fast, Buckets)
    (found,) = fast(torch.zeros(2, 3, 96, 64, dtype=torch.uint8, device="cuda"))
    assert found.shape == (2, 5)


@GPU
@torch.inference_mode()
def test_an_item_that_breaks_a_graphs_batch_is_alone_in_failing() -> None:
    with torch.inference_mode(mode=False):
        fast = accelerated(network().cuda(), EXAMPLE.cuda(), (0,), LARGEST)
    broken = torch.zeros(3, 10, 10, dtype=torch.uint8)
    good = list(images(3))

    def predict(items: list[Tensor]) -> list[Tensor]:
        return list(fast(to_device(items, torch.device("cuda")))[0])

    outputs = run_batch(predict, [good[0], broken[:1], good[1], good[2]])  # type: ignore[arg-type]
    assert isinstance(outputs.pop(1), InternalError)
    alone = [run_batch(predict, [item])[0] for item in good]  # type: ignore[arg-type]
    check_equal(torch.stack(outputs), torch.stack(alone))


@GPU
def test_a_worker_on_a_gpu_takes_graphs(tmp_path: Path) -> None:
    accelerate = Acceleration(torch.device("cuda:0"), 1, tmp_path / "none.onnx", batch_size=LARGEST)
    fast = accelerate(lambda: network().cuda(), EXAMPLE)
    assert isinstance(fast, Buckets)
    assert fast.sizes[-1] == LARGEST
