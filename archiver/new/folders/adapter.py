"""Recognises a PEFT folder with only a LoRA adapter, and explains how to merge it."""

from __future__ import annotations

from pathlib import Path

from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import ADAPTER, json_of

# PEFT's task types and the endings of their class names.
CLASSES = {
    "SEQ_CLS": "ModelForSequenceClassification",
    "TOKEN_CLS": "ModelForTokenClassification",
    "QUESTION_ANS": "ModelForQuestionAnswering",
    "CAUSAL_LM": "ModelForCausalLM",
    "FEATURE_EXTRACTION": "ModelForFeatureExtraction",
}


def is_one(path: Path) -> bool:
    """Whether the path is such a folder or its weights file."""
    if path.is_dir():
        return (path / ADAPTER).is_file() or any(path.glob("adapter_model.*"))
    return path.is_file() and path.stem == "adapter_model"


def refusal(folder: Path) -> str:
    """A sentence with the command that merges the adapter into its base model."""
    try:
        config = json_of(folder / ADAPTER, ADAPTER) if (folder / ADAPTER).is_file() else {}
    except UnsafeFile as error:
        return str(error)
    config = config if isinstance(config, dict) else {}
    base = config.get("base_model_name_or_path")
    name = f"for {base[:80]}, without that model" if isinstance(base, str) and base else "without its base model"
    kind = CLASSES.get(str(config.get("task_type")), "Model")
    return (
        f'holds a LoRA adapter {name}; merge them: python -c "from peft import AutoPeft{kind} as M; '
        f"M.from_pretrained('{folder.name}').merge_and_unload().save_pretrained('merged')\", and copy the tokenizer"
    )
