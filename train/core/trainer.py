"""Lightning's Trainer for the training stage of a run: its settings, checkpoints and loggers."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from pydantic import Field

from train.core import checkpoint
from train.core.config import ExperimentError, StrictModel
from train.core.precision import Precision, native_precision
from train.core.run import Run

MAX_PROCESSES = 64  # on one machine
LIGHTNINGS_PRECISION: dict[Precision, Any] = {"bf16": "bf16-mixed", "fp16": "16-mixed", "32": "32-true"}


class TrainerSettings(StrictModel):
    """The length of a training, its devices, and its checkpoints."""

    epochs: int = Field(default=10, ge=1, le=1 << 20, description="maximum number")
    max_steps: int = Field(default=-1, ge=-1, description="maximum number of optimizer steps; -1 for no limit")
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: int = Field(
        default=1,
        ge=-1,
        le=MAX_PROCESSES,
        description="number of processes on this machine, one per device; -1 for all GPUs; torchrun's overrides it",
    )
    nodes: int = Field(default=1, ge=1, le=4_096, description="number of machines; torchrun's overrides it")
    precision: Precision | None = Field(default=None, description="by default bf16 if the device supports it natively")
    gradient_clip: float | None = Field(default=1.0, gt=0, description="maximum norm of all gradients together")
    accumulate: int = Field(default=1, ge=1, description="number of batches per optimizer step")
    validate_every: float = Field(
        default=1.0, gt=0, description="epochs between validations; below 1 a fraction of one"
    )
    patience: int = Field(default=0, ge=0, description="validations without improvement before stopping; 0 for never")
    keep: int = Field(default=3, ge=1, description="number of best checkpoints to keep, in addition to the last")
    log_every: int = Field(default=20, ge=1, description="steps between points of the learning curves")
    wandb: str | None = Field(
        default=None, description="Weights & Biases project to log to, in addition to TensorBoard"
    )

    def fit(
        self,
        run: Run,
        module: LightningModule,
        data: LightningDataModule,
        monitor: str,
        mode: Literal["min", "max"] = "max",
        callbacks: list[Callback] | None = None,
        fixed_sizes: bool = False,
    ) -> dict[str, Any]:
        """Train from `run.last`, or from the start, and write the results to `fit.json`.

        monitor, mode: the logged metric that selects the best checkpoint and stops early, and whether it should fall or
            rise.
        fixed_sizes: whether all inputs have the same size. cuDNN then searches for its fastest kernels for this size.

        Returns the results: {"best": path of the checkpoint in the run's folder, "" if there was no validation,
        "monitor", "score", "epochs", "steps"}. Raises KeyboardInterrupt after Ctrl-C.
        """
        # A metric's name may contain a slash, but a file name cannot.
        best = RunCheckpoint(
            run.checkpoints,
            filename=f"epoch={{epoch:03d}}-{monitor.replace('/', '_')}={{{monitor}:.4f}}",
            auto_insert_metric_name=False,
            monitor=monitor,
            mode=mode,
            save_top_k=self.keep,
            enable_version_counter=False,  # in a folder that was moved, the existing files are overwritten
        )
        # Written after every validation; Lightning's own `save_last` skips checkpoints that are not among the best.
        last = RunCheckpoint(run.checkpoints, filename="last", monitor=None, enable_version_counter=False)
        devices, nodes = self.processes()
        distributed = nodes > 1 or devices > 1 or (devices == -1 and torch.cuda.device_count() > 1)
        stopping = [EarlyStopping(monitor, mode=mode, patience=self.patience)] if self.patience else []
        lightning = quiet_trainer(
            accelerator=self.accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy="ddp" if distributed else "auto",
            # torch has no synchronised batch norm for CPUs, where each process keeps its own statistics.
            sync_batchnorm=distributed and on_gpu(self.accelerator),
            benchmark=fixed_sizes,
            use_distributed_sampler=not getattr(data, "shares_itself", False),
            precision=LIGHTNINGS_PRECISION[self.precision or native_precision(on_gpu(self.accelerator))],
            max_epochs=self.epochs,
            max_steps=self.max_steps,
            gradient_clip_val=self.gradient_clip,
            accumulate_grad_batches=self.accumulate,
            check_val_every_n_epoch=max(1, round(self.validate_every)),
            val_check_interval=self.validate_every if self.validate_every < 1 else None,
            log_every_n_steps=self.log_every,
            logger=self.loggers(run),
            callbacks=[RichProgressBar(), LearningRateMonitor(), best, last, *stopping, *(callbacks or [])],
        )
        if run.last:
            checkpoint.check_module(run.last, module)
        lightning.fit(module, data, ckpt_path=run.last, weights_only=True)
        if lightning.interrupted:
            raise KeyboardInterrupt
        score = best.best_model_score
        found = {
            "best": str(Path(best.best_model_path).relative_to(run.folder.resolve())) if best.best_model_path else "",
            "monitor": monitor,
            "score": None if score is None else round(score.item(), 6),
            "epochs": lightning.current_epoch,
            "steps": lightning.global_step,
        }
        run.record("fit", found)
        if torch.distributed.is_initialized():
            # From here on the first process is alone, and computing a metric would wait for the others.
            torch.distributed.destroy_process_group()
        return found

    def check(self) -> None:
        """Raise ExperimentError if this machine lacks something that the settings need. Called before reading data."""
        if self.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
            raise ExperimentError(
                f"trainer.accelerator: got {self.accelerator}, but this machine has no GPU; wanted cpu"
            )
        if self.processes()[0] == -1 and not on_gpu(self.accelerator):
            raise ExperimentError("trainer.devices: -1 means one per GPU, but this machine has none; give a number")
        if self.wandb and find_spec("wandb") is None:
            raise ExperimentError("trainer.wandb: Weights & Biases is not installed; pip install wandb")

    def processes(self) -> tuple[int, int]:
        """(processes on this machine, machines): from torchrun if it started this process, else from the settings."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return self.devices, self.nodes
        here, everywhere = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        return here, everywhere // here

    def loggers(self, run: Run) -> list[Logger]:
        loggers: list[Logger] = [TensorBoardLogger(run.folder, name="tensorboard", version="")]
        if self.wandb:
            from lightning.pytorch.loggers import WandbLogger

            loggers.append(WandbLogger(project=self.wandb, name=run.folder.name, save_dir=run.folder))
        return loggers


class RunCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, which still finds its checkpoints after the run's folder was moved or copied."""

    @property
    def state_key(self) -> str:
        """The key of ModelCheckpoint, under which checkpoints of earlier versions store the state."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(str(self.dirpath), Path(path).name)) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        moved = {name: here(state_dict[name]) for name in paths}
        super().load_state_dict({**state_dict, **moved, "dirpath": self.dirpath, "best_k_models": best})


def check_compiler() -> None:
    """Raise ExperimentError if there is no compiler for torch.compile, which generates C++ for a CPU, and for a GPU
    kernels with a C launcher.
    """
    if not any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "clang++")):
        raise ExperimentError("compile: torch.compile needs a C++ compiler; install g++, or set compile to false")


def on_gpu(accelerator: str) -> bool:
    """Whether a training with this setting uses a GPU."""
    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def quiet_trainer(**options: Any) -> Trainer:
    """Lightning's Trainer without its advice and warnings. options: passed to the Trainer."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*LeafSpec.*",
        ".*module\\(s\\) in eval mode.*",
        ".*smaller than the logging interval.*",
        ".*exists and is not empty.*",
        ".*recommended to use.*sync_dist=True.*",
    ):
        warnings.filterwarnings("ignore", message, module="lightning")
    return Trainer(enable_model_summary=False, **options)
