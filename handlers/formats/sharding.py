"""Weights in several files, the shards, and an index that names the shard of each tensor.

https://huggingface.co/docs/transformers/big_models describes the form. transformers reads every shard that the index
names, whichever tensors the index lists for it, so they are checked here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from handlers.formats.errors import UnsafeFile

PLAIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
NUMBERED = re.compile(r"-\d+-of-\d+\.[a-z]+$")
MAX_SHOWN = 80


def shards_of(index: Any, name: str, suffix: str) -> dict[str, set[str]]:
    """The tensors by shard, as an index lists them. Raises UnsafeFile if it is not an index.

    name: the index's, for the message. suffix: of the shards' names; they are files beside the index.
    """
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise UnsafeFile(f"{name}: wanted weight_map, an object with the shard of each tensor")
    tensors: dict[str, set[str]] = {}
    for tensor, shard in weight_map.items():
        if not isinstance(shard, str) or not PLAIN.match(shard) or not shard.endswith(suffix):
            raise UnsafeFile(f"{name} names {str(shard)[:MAX_SHOWN]!r}, which is not the name of a {suffix} file")
        tensors.setdefault(shard, set()).add(tensor)
    return tensors


def check_shards(
    tensors: dict[str, set[str]], files: Collection[str], held: Callable[[str], Collection[str]], name: str
) -> None:
    """Raise UnsafeFile if the shards do not match the index.

    tensors: as `shards_of` returns them. files: the names of the shards that exist. held: returns the names of the
    tensors in a shard.
    """
    for shard in sorted(tensors.keys() - set(files)):
        raise UnsafeFile(f"{name} names {shard[:MAX_SHOWN]!r}, which is missing")
    for shard in sorted(file for file in set(files) - tensors.keys() if NUMBERED.search(file)):
        raise UnsafeFile(f"{shard[:MAX_SHOWN]} is a shard that {name} does not name; delete it, or use its own index")
    places: dict[str, str] = {}
    for shard in sorted(tensors):
        for tensor in sorted(set(held(shard))):
            if tensor in places:
                raise UnsafeFile(f"{tensor[:MAX_SHOWN]!r} is in two shards, {places[tensor]} and {shard}")
            places[tensor] = shard
    for shard, listed in sorted(tensors.items()):
        for tensor in sorted(listed):
            if places.get(tensor) != shard:
                where = f"it is in {places[tensor]}" if tensor in places else "it is in none"
                raise UnsafeFile(f"{name} has {tensor[:MAX_SHOWN]!r} in {shard}; {where}")
