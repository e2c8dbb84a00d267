"""Files that people write or fetch, read within bounds: what is too large, too deep or repeats itself is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from handlers.formats import json_file, zip_file
from handlers.formats.errors import UnsafeFile

MAX_BYTES = 16 << 20  # a card with the labels and statistics of 100,000 classes has a third of it
MAX_YAML_BYTES = 1 << 20
MAX_YAML_NODES = 100_000
KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML as pyyaml reads it, with more errors: a key that is there twice, of which the last would win; a key that
    is not a string, which JSON could not hold; a value that is not of its tag; and a document that its aliases blow up.
    """

    depth = nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Within the bounds while it reads, not afterwards: pyyaml looks at every open bracket for each token."""
        self.depth, self.nodes = self.depth + 1, self.nodes + 1
        mark = self.peek_event().start_mark
        if self.depth > json_file.MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f"is nested more than {json_file.MAX_DEPTH} deep", mark)
        if self.nodes > MAX_YAML_NODES:
            raise yaml.composer.ComposerError(None, None, f"holds more than {MAX_YAML_NODES} values", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_document(self) -> yaml.Node | None:
        node = super().compose_document()
        sizes: dict[int, int] = {}
        if node and expanded(node, sizes, json_file.MAX_DEPTH) > MAX_YAML_NODES:
            raise yaml.composer.ComposerError(None, None, f"holds more than {MAX_YAML_NODES} values", node.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError):
            if not isinstance(node, yaml.ScalarNode):
                raise
            problem = f"{node.value[:40]!r} is not a valid {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: list[Any] = []  # a key may be a list, which no set holds
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is there twice", key.start_mark)
            if key.tag not in KEY_TAGS:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} is not a string", key.start_mark
                )
            seen.append(key.value)
        return super().construct_mapping(node, deep)


def expanded(node: yaml.Node, sizes: dict[int, int], left: int) -> int:
    """The values of a node with every alias written out. sizes: of those already counted. left: levels it may have."""
    if id(node) not in sizes:
        if not left:
            raise yaml.composer.ComposerError(
                None, None, f"is nested more than {json_file.MAX_DEPTH} deep", node.start_mark
            )
        inner = [] if isinstance(node, yaml.ScalarNode) else node.value
        parts = [part for pair in inner for part in (pair if isinstance(pair, tuple) else (pair,))]
        sizes[id(node)] = 1 + sum(expanded(part, sizes, left - 1) for part in parts)
    return sizes[id(node)]


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """A file's content; UnsafeFile where it is not a file, or larger."""
    try:
        zip_file.check_file(path)
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise UnsafeFile(f"cannot be read: {zip_file.reason(error)}") from None
    if len(content) > limit:
        raise UnsafeFile(f"has more than {limit} bytes")
    return content


def read_json(path: Path) -> Any:
    """A JSON file's value; UnsafeFile if it is not JSON."""
    try:
        return json_file.loads(read_bytes(path), "it")
    except UnsafeFile as error:
        raise UnsafeFile(f"cannot be read as JSON: {error}" if str(error).startswith("it ") else str(error)) from None


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    try:
        return read_bytes(path, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsafeFile(f"is not UTF-8: {error.reason}") from None


def parse_yaml(text: str) -> Any:
    """The value of a YAML text; UnsafeFile, with the line of what is wrong."""
    try:
        return yaml.load(text, UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UnsafeFile(f"{line}is not YAML: {error.problem}") from None
    except RecursionError:
        raise UnsafeFile(f"is nested more than {json_file.MAX_DEPTH} deep") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UnsafeFile(f"is not YAML: {(str(error).splitlines() or [type(error).__name__])[0]}") from None
