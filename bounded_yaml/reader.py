"""YAML of bounded length, depth and number of values, so that reading it takes a second or two at most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 256 << 10
MAX_DEPTH = 64
# pyyaml takes up to 50 µs for a value and 0.4 µs for a character. A long list belongs into a file of its own.
MAX_VALUES = 20_000
KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}
TOO_DEEP = f"is nested more than {MAX_DEPTH} deep"
TOO_MANY = f"holds more than {MAX_VALUES} values"


class UnreadableYaml(Exception):
    """One line that says where and why, without values of the file: they may be secret."""


def read(path: Path) -> Any:
    """The value of a file. Raises UnreadableYaml."""
    try:
        if not path.is_file():  # a pipe would never end
            raise UnreadableYaml("is not a file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableYaml(f"cannot be read: {error.strerror or type(error).__name__}") from None
    if len(content) > MAX_BYTES:
        raise UnreadableYaml(f"has more than {MAX_BYTES} bytes")
    try:
        return parse(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UnreadableYaml(f"is not UTF-8: {error.reason}") from None


def parse(text: str) -> Any:
    """The value of a text. Raises UnreadableYaml, also for a key that occurs twice or is not a string."""
    if len(text) > MAX_BYTES:
        raise UnreadableYaml(f"has more than {MAX_BYTES} characters")
    try:
        return yaml.load(text, BoundedLoader)  # noqa: S506 - a SafeLoader
    except BoundExceeded as error:
        raise UnreadableYaml(f"line {error.line}: {error}") from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UnreadableYaml(f"{line}is not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UnreadableYaml(f"is not YAML: {(str(error).splitlines() or [type(error).__name__])[0]}") from None


class BoundExceeded(Exception):
    """line: counted from 1."""

    def __init__(self, problem: str, mark: yaml.Mark | None) -> None:
        super().__init__(problem)
        self.line = mark.line + 1 if mark else 1


class BoundedLoader(yaml.SafeLoader):
    """Refuses more than pyyaml does: keys that occur twice, of which the last would win; keys that are not strings,
    which JSON cannot hold; scalars that do not fit their tag; and documents beyond the bounds, aliases expanded.
    """

    depth = values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Checks the bounds while it reads, not afterwards, because pyyaml visits every open bracket for each token."""
        self.depth, self.values = self.depth + 1, self.values + 1
        mark = self.peek_event().start_mark
        if self.depth > MAX_DEPTH:
            raise BoundExceeded(TOO_DEEP, mark)
        if self.values > MAX_VALUES:
            raise BoundExceeded(TOO_MANY, mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            name = f"key {key.value[:40]!r}" if isinstance(key, yaml.ScalarNode) else "a key"
            if key.tag not in KEY_TAGS:
                raise yaml.composer.ComposerError(None, None, f"{name} is not a string", key.start_mark)
            if key.value in seen:
                raise yaml.composer.ComposerError(None, None, f"{name} occurs twice", key.start_mark)
            seen.add(key.value)
        return node

    def compose_document(self) -> yaml.Node | None:
        node = super().compose_document()
        if node and expanded(node, {}, MAX_DEPTH) > MAX_VALUES:
            raise BoundExceeded(TOO_MANY, node.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError):
            if not isinstance(node, yaml.ScalarNode):
                raise
            problem = f"a value is not a valid {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


def expanded(node: yaml.Node, sizes: dict[int, int], levels: int) -> int:
    """The number of values of a node with all aliases expanded.

    sizes: results by the identity of their nodes. levels: the depth that is still allowed.
    """
    if id(node) not in sizes:
        if not levels:
            raise BoundExceeded(TOO_DEEP, node.start_mark)
        inner = [] if isinstance(node, yaml.ScalarNode) else node.value
        parts = [part for pair in inner for part in (pair if isinstance(pair, tuple) else (pair,))]
        sizes[id(node)] = 1 + sum(expanded(part, sizes, levels - 1) for part in parts)
    return sizes[id(node)]
