"""Hugging Face's Trainer as a run has it."""

from pathlib import Path

import pytest
from transformers import TrainingArguments
from transformers.training_args import ParallelMode

from train.text.trainer import OneDevice


@pytest.mark.parametrize("visible", [1, 4])
def test_a_process_trains_on_one_gpu_however_many_it_sees(visible: int, tmp_path: Path) -> None:
    """Without torchrun; Transformers' own arguments show what would happen."""
    made = [
        kind(str(tmp_path), per_device_train_batch_size=8, report_to="none") for kind in (OneDevice, TrainingArguments)
    ]
    for arguments in made:
        assert arguments.device.type in ("cpu", "cuda")  # asking for it sets what follows
        arguments._n_gpu = visible
    own, theirs = made
    assert (own.n_gpu, own.train_batch_size, own.parallel_mode) == (1, 8, ParallelMode.NOT_PARALLEL)
    assert (theirs.n_gpu, theirs.train_batch_size) == (visible, 8 * visible)


def test_on_a_cpu_there_is_none(tmp_path: Path) -> None:
    assert OneDevice(output_dir=str(tmp_path), use_cpu=True, report_to="none").n_gpu == 0
