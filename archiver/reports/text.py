"""Reports for people: an archive's contents as a tree, and the differences between two archives line by line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from rich.text import Text
from rich.tree import Tree

from archiver.reports.contents import OF_SPEC, Contents, Member, Signature
from archiver.reports.difference import Difference
from archiver.reports.tensors import Change, Kind
from handlers.formats.zip_file import printable
from trust.keys import SHOWN

# What is shown at most; --json prints everything.
MAX_VALUE = 100  # characters of a value
MAX_LISTED = 6  # items of a list
MAX_KEYS = 16  # keys of a mapping
MAX_LINE = 2000  # characters of a line
MAX_LINES = 1000  # lines of one kind of difference, or of one part of a tree
SHA256 = re.compile(r"[0-9a-f]{64}")
# The keys of a model card that are already shown under "spec" and "provenance".
ELSEWHERE = {*OF_SPEC, "backend", "provenance", "inputs", "metrics", "versions", "sha256"}


def plain(text: str) -> Text:
    """Text from an archive, shown literally: without markup, and without characters that control the terminal."""
    return Text(printable(text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}…"))


def tree(contents: Contents) -> Tree:
    """An archive's contents as a tree."""
    head = f"{contents.path.name}  {contents.name} {contents.version}  {megabytes(contents.size)}"
    root = Tree(plain(head))
    root.add(plain(f"sha256 {contents.sha256}"))
    root.add(plain(signed(contents.signature)))
    for problem in contents.problems:
        root.add(Text.assemble(("wrong: ", "red"), plain(problem)))
    branch(root, "provenance", contents.provenance)
    branch(root, "spec", contents.spec)
    if contents.card:
        branch(root, "card", {key: value for key, value in contents.card.items() if key not in ELSEWHERE})
    else:
        root.add(plain("no model card: it was not built by this archiver"))
        branch(root, "manifest", contents.model)
    files = root.add(plain(f"files ({len(contents.members)})"))
    folders = {"": files}
    for member in contents.members:
        folder, _, name = member.name.rpartition("/")
        parent = folder_of(folders, folder)
        parent.add(plain(f"{name}  {member.size}  {member.sha256}"))
    return root


def folder_of(folders: dict[str, Tree], path: str) -> Tree:
    """The branch of a folder, created together with its parents if it does not exist. folders: branches by path."""
    if path not in folders:
        above, _, name = path.rpartition("/")
        folders[path] = folder_of(folders, above).add(plain(f"{name}/"))
    return folders[path]


def branch(parent: Tree, name: str, values: dict[str, Any], room: int = MAX_LINES) -> int:
    """Add keys and values below a name, without empty ones; add nothing if all are empty.

    room: lines that may be added. Returns the rest of them.
    """
    shown = {key: value for key, value in values.items() if value not in (None, "", {}, [])}
    if not shown:
        return room
    below = parent.add(plain(name))
    for index, (key, value) in enumerate(shown.items()):
        room -= 1
        if index == MAX_KEYS or room <= 0:
            below.add(plain(f"… {len(shown)} in all"))
            return room
        if isinstance(value, dict):
            room = branch(below, key, value, room)
        else:
            below.add(plain(f"{key}: {short(value)}"))
    return room


def short(value: Any) -> str:
    """The value in one line, shortened if it is long."""
    if isinstance(value, list) and len(value) > MAX_LISTED:
        return f"{short(value[:MAX_LISTED])[:-1]}, … {len(value)} in all]"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def brief(value: Any) -> str:
    """Like `short`, but shorter for a digest, whose first digits are enough to tell two apart."""
    return f"{value[:SHOWN]}…" if isinstance(value, str) and SHA256.fullmatch(value) else short(value)


def signed(signature: Signature) -> str:
    if signature.problem:
        return f"signature refused: {signature.problem}"
    if not signature.key:
        return "not signed"
    checked = "checked" if signature.verified else "not checked; use --key FILE to check it"
    return f"signed with the key {signature.key[:SHOWN]}, {checked}"


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def lines(difference: Difference) -> Iterator[str]:
    """One line per difference: `+` for added, `-` for removed, `~` for changed."""
    if difference.same:
        packed = "" if difference.before == difference.after else "; the archives were packed differently"
        yield f"the same files{packed}"
        return
    yield "files"
    yield from limited(f"  + {described(member)}" for member in difference.added)
    yield from limited(f"  - {described(member)}" for member in difference.removed)
    yield from limited(f"  ~ {a.name}  {sizes(a, b)}" for a, b in difference.changed)
    for name, each in difference.fields.items():
        yield name
        yield from limited(f"  + {path}: {short(value)}" for path, value in each.added.items())
        yield from limited(f"  - {path}: {short(value)}" for path, value in each.removed.items())
        yield from limited(f"  ~ {path}: {brief(a)} → {brief(b)}" for path, (a, b) in each.changed.items())
    found = difference.tensors
    if found is None:
        return
    yield f"tensors ({found.unchanged} unchanged)"
    yield from limited(f"  + {name}  {kind(each)}" for name, each in found.added.items())
    yield from limited(f"  - {name}  {kind(each)}" for name, each in found.removed.items())
    yield from limited(f"  ~ {name}  {kind(a)} → {kind(b)}" for name, (a, b) in found.reshaped.items())
    yield from limited(f"  ~ {name}  {changed(change)}" for name, change in found.changed.items())


def limited(found: Iterable[str]) -> Iterator[str]:
    """The first MAX_LINES lines, and a line with the number of the others."""
    rest = 0
    for number, line in enumerate(found):
        if number < MAX_LINES:
            yield line
        else:
            rest += 1
    if rest:
        yield f"  … {rest} more; --json prints all"


def changed(change: Change) -> str:
    types = kind(change.before)
    if change.before.dtype != change.after.dtype:
        types = f"{types} → {change.after.dtype}"
    most = change.max_abs_difference
    return f"{types}  " + ("not comparable" if most is None else f"max abs difference {most:.3g}")


def described(member: Member) -> str:
    return f"{member.name}  {member.size} bytes"


def sizes(a: Member, b: Member) -> str:
    return f"{a.size} → {b.size} bytes" if a.size != b.size else f"{a.size} bytes, different content"


def kind(found: Kind) -> str:
    return f"{found.dtype} {found.shape}"
