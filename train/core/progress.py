"""Progress bars for work that Lightning does not show."""

from __future__ import annotations

from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback


def progress() -> Progress:
    """A progress bar with a text: `add_task(description, total=…, info="")`, `update(task, advance=1, info=…)`."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[info]}"), TimeRemainingColumn()
    )


class StepProgress(TrainerCallback):
    """A progress bar for Hugging Face's Trainer: its steps, and the last logged loss."""

    def __init__(self, description: str) -> None:
        self.bar = progress()
        self.task = self.bar.add_task(description, info="")

    def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self.bar.update(self.task, total=state.max_steps)
        self.bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self.bar.update(self.task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **rest: Any) -> None:
        if logs and "loss" in logs:
            self.bar.update(self.task, info=f"loss {logs['loss']:.2f}")

    def on_train_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self.bar.stop()
