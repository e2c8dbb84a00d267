"""Reports for people: a tree of an archive, and lines of a difference."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from rich.text import Text
from rich.tree import Tree

from archiver.reports.contents import Contents, Member, Signature
from archiver.reports.difference import Difference
from archiver.reports.tensors import Change, Kind

MAX_VALUE = 100  # characters of a value, and values of a list
MAX_LISTED = 6
MAX_KEYS = 16  # of one object; --json has all
DIGITS = 12  # of a key's fingerprint, or of a digest beside another
SHA256 = re.compile(r"[0-9a-f]{64}")
# Of a card: what stands under "spec" and "provenance" already.
ELSEWHERE = {
    *("name", "version", "task", "workers", "batch", "limits", "options", "preprocessing", "labels", "backend"),
    *("provenance", "inputs", "metrics", "versions", "sha256"),
}


def plain(text: str) -> Text:
    """A text from a file as it is: no markup, nothing that moves a terminal's cursor."""
    return Text("".join(character if character.isprintable() else "\ufffd" for character in text))


def tree(contents: Contents) -> Tree:
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
    """The branch of a folder, made with those above it."""
    if path not in folders:
        above, _, name = path.rpartition("/")
        folders[path] = folder_of(folders, above).add(plain(f"{name}/"))
    return folders[path]


def branch(parent: Tree, name: str, values: dict[str, Any]) -> None:
    """Keys and values below a name; nothing where there are none."""
    shown = {key: value for key, value in values.items() if value not in (None, "", {}, [])}
    if not shown:
        return
    below = parent.add(plain(name))
    for index, (key, value) in enumerate(shown.items()):
        if index == MAX_KEYS:
            below.add(plain(f"… {len(shown)} in all"))
            return
        if isinstance(value, dict):
            branch(below, key, value)
        else:
            below.add(plain(f"{key}: {short(value)}"))


def short(value: Any) -> str:
    if isinstance(value, list) and len(value) > MAX_LISTED:
        return f"{short(value[:MAX_LISTED])[:-1]}, … {len(value)} in all]"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def brief(value: Any) -> str:
    """As `short`, but of a digest its first digits, which is enough to tell two apart."""
    return f"{value[:DIGITS]}…" if isinstance(value, str) and SHA256.fullmatch(value) else short(value)


def signed(signature: Signature) -> str:
    if signature.problem:
        return f"signature refused: {signature.problem}"
    if not signature.key:
        return "not signed"
    checked = "checked" if signature.verified else "not checked: --key FILE does that"
    return f"signed with the key {signature.key[:DIGITS]}, {checked}"


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def lines(difference: Difference) -> Iterator[str]:
    """One line for each thing that differs, `+` for what is new, `-` for what is gone, `~` for what has changed."""
    if difference.same:
        packed = "" if difference.before == difference.after else "; the archives were packed differently"
        yield f"the same files{packed}"
        return
    yield "files"
    yield from (f"  + {described(member)}" for member in difference.added)
    yield from (f"  - {described(member)}" for member in difference.removed)
    yield from (f"  ~ {a.name}  {sizes(a, b)}" for a, b in difference.changed)
    for name, each in difference.fields.items():
        yield name
        yield from (f"  + {path}: {short(value)}" for path, value in each.added.items())
        yield from (f"  - {path}: {short(value)}" for path, value in each.removed.items())
        yield from (f"  ~ {path}: {brief(a)} → {brief(b)}" for path, (a, b) in each.changed.items())
    found = difference.tensors
    if found is None:
        return
    yield f"tensors ({found.unchanged} unchanged)"
    yield from (f"  + {name}  {kind(each)}" for name, each in found.added.items())
    yield from (f"  - {name}  {kind(each)}" for name, each in found.removed.items())
    yield from (f"  ~ {name}  {kind(a)} → {kind(b)}" for name, (a, b) in found.reshaped.items())
    yield from by_size(found.changed)


def by_size(changed: dict[str, Change]) -> Iterable[str]:
    for name, change in changed.items():
        types = kind(change.before)
        if change.before.dtype != change.after.dtype:
            types = f"{types} → {change.after.dtype}"
        most = change.max_abs_difference
        yield f"  ~ {name}  {types}  " + (f"max abs difference {most:.3g}" if most is not None else "not comparable")


def described(member: Member) -> str:
    return f"{member.name}  {member.size} bytes"


def sizes(a: Member, b: Member) -> str:
    return f"{a.size} → {b.size} bytes" if a.size != b.size else f"{a.size} bytes, other content"


def kind(found: Kind) -> str:
    return f"{found.dtype} {found.shape}"
