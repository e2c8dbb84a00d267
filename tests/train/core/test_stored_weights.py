"""Weights in float16: half the bytes, and the network that was measured is the one that is served."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from handlers.networks.actor_critic import Discrete
from handlers.networks.weights import load_weights
from train.core.artifact import Artifact
from train.core.config import ExperimentError, StoredType
from train.core.experiment import Experiment
from train.core.stored_weights import as_stored, narrow_folder, round_weights, state_of


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 5)).eval()


@pytest.mark.parametrize("stored", [None, "float16"])
def test_what_is_loaded_answers_as_what_was_rounded(stored: StoredType, tmp_path: Path) -> None:
    (tmp_path / "sample.json").write_text("[]")
    made = network()
    round_weights(made, stored)
    folder = Artifact(name="x", task="image-classification", format="safetensors", stored_weights=stored).write(
        tmp_path / "x", made.state_dict(), tmp_path / "sample.json"
    )
    held = load_file(folder / "weights.safetensors")
    assert held["0.weight"].dtype is (torch.float16 if stored else torch.float32)
    assert held["1.num_batches_tracked"].dtype is torch.int64
    served = network()
    load_weights(served, folder / "weights.safetensors")
    inputs = torch.randn(4, 3, 8, 8)
    assert torch.equal(served(inputs), made(inputs))
    assert {weight.dtype for weight in served.parameters()} == {torch.float32}


def test_rounding_changes_little_and_nothing_twice() -> None:
    before, rounded = network(), network()
    round_weights(rounded, "float16")
    inputs = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(rounded(inputs), before(inputs), atol=5e-3, rtol=0)
    assert not torch.equal(rounded(inputs), before(inputs))
    once = {name: weight.clone() for name, weight in rounded.state_dict().items()}
    round_weights(rounded, "float16")
    assert all(torch.equal(weight, once[name]) for name, weight in rounded.state_dict().items())


@pytest.mark.parametrize("value", [1e5, -7e4])
def test_a_weight_that_float16_cannot_hold_is_refused_by_name(value: float) -> None:
    made = network()
    with torch.no_grad():
        made.get_buffer("1.running_var")[2] = value
    with pytest.raises(
        ExperimentError, match=rf"1\.running_var contains {abs(value):g}, and the maximum of float16 is 65504"
    ):
        round_weights(made, "float16")


@pytest.mark.parametrize("standardise", [False, True])
def test_a_program_holds_float16_and_computes_in_float32(standardise: bool, tmp_path: Path) -> None:
    policy = Discrete(4, 2, 16, standardise).eval()
    round_weights(policy, "float16")
    observations = torch.randn(7, 4)
    expected: tuple[Tensor, ...] = policy(observations)
    names = {name: weight.clone() for name, weight in policy.state_dict().items()}
    sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.export.export(as_stored(policy, "float16"), (torch.zeros(2, 4),), dynamic_shapes=sizes)
    torch.export.save(program, tmp_path / "weights.pt2")
    loaded = torch.export.load(tmp_path / "weights.pt2").module()
    assert {weight.dtype for weight in loaded.state_dict().values()} == {torch.float16}
    for found, wanted in zip(loaded(observations), expected, strict=True):
        assert torch.equal(found, wanted)
    state = state_of(loaded)
    assert state.keys() == names.keys()
    assert all(torch.equal(state[name].float(), weight) for name, weight in names.items())


def test_a_hugging_face_folder_says_its_type(tmp_path: Path) -> None:
    save_file({"a": torch.tensor([0.1]), "b": torch.tensor([1])}, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text('{"model_type": "bert", "torch_dtype": "float32"}')
    narrow_folder(tmp_path)
    held = load_file(tmp_path / "model.safetensors")
    assert (held["a"].dtype, held["b"].dtype) == (torch.float16, torch.int64)
    assert json.loads((tmp_path / "config.json").read_text()) == {"model_type": "bert", "dtype": "float16"}


def test_a_digest_is_of_every_value_written_out() -> None:
    one = Experiment(name="x", system="tiny")
    assert one.digest == Experiment(name="x", system="tiny", seed=0).digest
    assert one.digest != Experiment(name="x", system="tiny", seed=1).digest
    assert one.digest != Experiment(name="x", system="tiny", stored_weights="float16").digest
