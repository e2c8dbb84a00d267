"""Predictions of a trained text classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification

import handlers.networks.mean_pooling  # noqa: F401 - registers the head with the Auto classes
from train.core.progress import progress


@torch.inference_mode()
def predict(model: Any, tokenizer: Any, rows: Dataset, batch_size: int) -> NDArray[np.float32]:
    """Logits (N, classes), in the order of the rows. Rows of similar length share a batch.

    rows: with input_ids, and length in tokens. transformers' Trainer is not used, because after a distributed training
    it would wait for processes that have ended.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device).eval()
    lengths = np.asarray(rows["length"])
    order = np.argsort(lengths, kind="stable")
    found = np.empty((len(rows), model.config.num_labels), dtype=np.float32)
    with progress() as bar:
        task = bar.add_task("predictions", total=len(order), info="")
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = tokenizer.pad({"input_ids": rows[chosen]["input_ids"]}, return_tensors="pt").to(device)
            found[chosen] = model(**batch).logits.float().cpu().numpy()
            bar.update(task, advance=len(chosen))
    return found


def load_classifier(folder: Path) -> Any:
    """The classifier in `folder`, in float32, whatever the type of its stored weights."""
    return AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
