"""Converts a Hugging Face folder's pickled state dicts, read with `weights_only`, to safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archiver.new.findings import refused
from archiver.new.torch_save import unpickled
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import INDEX, SUFFIX, WEIGHTS, json_of
from handlers.formats.sharding import check_shards, shards_of

PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"


def is_one(folder: Path) -> bool:
    """Whether the folder has only pickled weights."""
    files = {file.name for file in folder.iterdir()}
    return not files & {WEIGHTS, INDEX} and any(name.startswith("pytorch_model") for name in files)


def converted(folder: Path, workspace: Path) -> dict[str, Path]:
    """Write safetensors files to the workspace and return them by the names that transformers loads. Raises SpecError
    if the weights are not state dicts, or do not match the index.
    """
    if (folder / PICKLED).is_file():
        file = workspace / WEIGHTS
        write(unpickled(folder / PICKLED)[0], file)
        return {WEIGHTS: file}
    if not (folder / PICKLED_INDEX).is_file():
        raise refused(folder, f"has neither {WEIGHTS} nor {PICKLED}, nor an index of their shards")
    files: dict[str, Path] = {}
    held: dict[str, list[str]] = {}  # the names of the tensors in a shard
    renamed: dict[str, str] = {}
    try:
        tensors = shards_of(json_of(folder / PICKLED_INDEX, PICKLED_INDEX), PICKLED_INDEX, ".bin")
        for shard in sorted(tensors):
            if (folder / shard).is_file():
                state = unpickled(folder / shard)[0]
                name = renamed[shard] = shard.removeprefix("pytorch_").removesuffix(".bin") + SUFFIX
                files[name] = workspace / name
                write(state, files[name])
                held[shard] = list(state)
        there = [file.name for file in folder.glob("pytorch_model*.bin")]
        check_shards(tensors, there, held.__getitem__, PICKLED_INDEX)
    except UnsafeFile as error:
        raise refused(folder, str(error)) from None
    places = {tensor: renamed[shard] for shard, found in tensors.items() for tensor in found}
    files[INDEX] = workspace / INDEX
    size = sum(file.stat().st_size for name, file in files.items() if name != INDEX)
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
    files[INDEX].write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return files


def write(state: Mapping[str, Any], file: Path) -> None:
    """Write each tensor with its own memory, as safetensors requires; tied weights are stored twice."""
    from safetensors.torch import save_file

    tensors = {name: value.detach().clone().contiguous() for name, value in state.items()}
    save_file(tensors, file, {"format": "pt"})
