"""Hugging Face's Trainer for a run: its settings, its checkpoints, and how it is resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from pydantic import Field
from torch.utils.tensorboard import SummaryWriter
from transformers import (
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.integrations.integration_utils import TensorBoardCallback
from transformers.trainer_pt_utils import safe_globals
from transformers.utils.logging import disable_progress_bar

from train.core.checkpoint import check as check_file
from train.core.config import StrictModel
from train.core.precision import Precision, native_precision
from train.core.progress import StepProgress
from train.core.run import Run, is_first_process
from train.core.trainer import check_compiler
from train.text.metrics import decide, scores

STATE = "trainer_state.json"  # written last, so a checkpoint with this file is complete
# The files that the Trainer reads with `weights_only`. It also writes training_args.bin, a pickle that it never reads.
UNPICKLED = ("optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state*.pth", "pytorch_model*.bin")


class OneDevice(TrainingArguments):
    """Arguments for training on one GPU, if torchrun does not start one process per GPU.

    If several GPUs are visible, TrainingArguments would wrap the model in DataParallel, which is slow and multiplies
    the batch size by their number.
    """

    @property
    def n_gpu(self) -> int:
        return min(1, int(super().n_gpu))


class TextTrainer(StrictModel):
    """The length of a training, its optimizer, and its checkpoints."""

    epochs: float = Field(default=3, gt=0, description="maximum number")
    max_steps: int = Field(default=-1, ge=-1, description="maximum number of optimizer steps; -1 for no limit")
    batch_size: int = Field(default=32, ge=1, le=1 << 16, description="number of texts per batch, on each device")
    accumulate: int = Field(default=1, ge=1, description="number of batches per optimizer step")
    learning_rate: float = Field(default=5e-5, gt=0, description="maximum")
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = Field(
        default="linear", description="of the learning rate after the warm-up"
    )
    warmup: float = Field(default=0.06, ge=0, lt=1, description="share of all steps in which the learning rate rises")
    weight_decay: float = Field(default=0.01, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    gradient_clip: float = Field(default=1.0, gt=0, description="maximum norm of all gradients together")
    gradient_checkpointing: bool = Field(
        default=False, description="recompute activations: less memory, for a third more time"
    )
    precision: Precision | None = Field(default=None, description="by default bf16 if the device supports it natively")
    length_grouping: bool = Field(default=True, description="batch texts of similar length, for less padding")
    validate_every: int = Field(
        default=0, ge=0, description="steps between validations, each with a checkpoint; 0 for every epoch"
    )
    monitor: Literal["f1", "macro_f1", "accuracy", "precision", "recall", "loss"] = Field(
        default="f1", description="metric on the validation data that selects the best checkpoint and stops early"
    )
    patience: int = Field(default=0, ge=0, description="validations without improvement before stopping; 0 for never")
    keep: int = Field(default=2, ge=1, description="number of checkpoints to keep: the best and the last ones")
    compile: bool = Field(default=False, description="compile the model with torch.compile; needs g++ or clang++")
    log_every: int = Field(default=20, ge=1, description="steps between points of the learning curves")

    def trainer(
        self,
        run: Run,
        name: str,
        seed: int,
        model: PreTrainedModel,
        tokenizer: Any,
        train: Dataset,
        validation: Dataset,
    ) -> Trainer:
        """The Trainer of a run, whose folder gets the checkpoints and learning curves.

        name: of the experiment, for the progress bar. train, validation: with input_ids, length and labels; each batch
        is padded to its longest text. Raises ExperimentError if `compile` is set and there is no compiler.
        """
        if self.compile:
            check_compiler()
        precision = self.precision or native_precision()
        intervals: dict[str, Any] = {"eval_strategy": "epoch", "save_strategy": "epoch"}
        if self.validate_every:
            intervals = {"eval_strategy": "steps", "save_strategy": "steps"}
            intervals |= {"eval_steps": self.validate_every, "save_steps": self.validate_every}
        arguments = OneDevice(
            output_dir=str(run.checkpoints),
            num_train_epochs=self.epochs,
            max_steps=self.max_steps,
            per_device_train_batch_size=self.batch_size,
            per_device_eval_batch_size=2 * self.batch_size,
            gradient_accumulation_steps=self.accumulate,
            learning_rate=self.learning_rate,
            lr_scheduler_type=self.schedule,
            warmup_steps=self.warmup,
            weight_decay=self.weight_decay,
            label_smoothing_factor=self.label_smoothing,
            max_grad_norm=self.gradient_clip,
            use_cpu=not torch.cuda.is_available(),
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            train_sampling_strategy="group_by_length" if self.length_grouping else "random",
            length_column_name="length",
            save_total_limit=self.keep,
            load_best_model_at_end=True,
            metric_for_best_model=self.monitor,
            greater_is_better=self.monitor != "loss",
            logging_steps=self.log_every,
            torch_compile=self.compile,
            seed=seed,
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=torch.cuda.is_available(),
            **intervals,
        )
        callbacks: list[Any] = [EarlyStoppingCallback(self.patience)] if self.patience else []
        if is_first_process():
            callbacks += [StepProgress(name), TensorBoardCallback(SummaryWriter(str(run.folder / "tensorboard")))]
        disable_progress_bar()
        if self.gradient_checkpointing:
            model.gradient_checkpointing_enable()
        trainer = Trainer(
            model,
            arguments,
            train_dataset=train,
            eval_dataset=validation,
            data_collator=DataCollatorWithPadding(tokenizer),
            processing_class=tokenizer,
            compute_metrics=metrics_of,
            callbacks=callbacks,
        )
        trainer.remove_callback(PrinterCallback)
        return trainer


def metrics_of(found: EvalPrediction) -> dict[str, float]:
    """The metrics on the validation data, as the Trainer logs them."""
    truth: Any = found.label_ids
    return scores(truth.astype(int), decide(found.predictions, multi_label=truth.ndim == 2))  # type: ignore[arg-type]


def relocate(checkpoint: Path) -> None:
    """Correct the path of the best checkpoint in a checkpoint's state, in case the run's folder was moved or copied."""
    if not is_first_process():
        return
    path = checkpoint / STATE
    state = json.loads(path.read_text(encoding="utf-8"))
    best = state["best_model_checkpoint"]
    if best and Path(best).parent != checkpoint.parent:
        state["best_model_checkpoint"] = str(checkpoint.parent / Path(best).name)
        path.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def check_checkpoint(checkpoint: Path) -> None:
    """Raise RunError if a file of the checkpoint would run code when the Trainer reads it."""
    with safe_globals():  # NumPy's, for the state of its random numbers
        for pattern in UNPICKLED:
            for path in sorted(checkpoint.glob(pattern)):
                check_file(path)


def last_checkpoint(run: Run) -> Path | None:
    """The newest complete checkpoint of the run; None if there is none."""
    found = [path.parent for path in run.checkpoints.glob(f"checkpoint-*/{STATE}")]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
