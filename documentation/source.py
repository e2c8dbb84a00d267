"""The site's source: a copy of the README and of docs/, with the reference beside them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from documentation.commands import commands_page
from documentation.python_api import python_page
from documentation.settings import experiments_page, spec_page

PROJECT = Path(__file__).resolve().parent.parent
SOURCE = PROJECT / ".site" / "source"
# Links of Markdown files; of the checkout's other files the site holds images alone.
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#|mailto:)([^)]+)\)")


def write() -> Path:
    """The folder, with nothing from an earlier build in it."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    (SOURCE / "reference").mkdir(parents=True)
    pages = {"index.md": readable(PROJECT / "README.md", "docs/")}
    pages |= {path.name: readable(path, "") for path in sorted((PROJECT / "docs").glob("*.md"))}
    pages |= {
        "reference/spec.md": spec_page(),
        "reference/experiments.md": experiments_page(),
        "reference/commands.md": commands_page(),
        "reference/python.md": python_page(),
    }
    for image in (path for path in (PROJECT / "docs").glob("*/*") if path.suffix in (".png", ".webp")):
        copy = SOURCE / image.relative_to(PROJECT / "docs")
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(image, copy)
    for name, text in pages.items():
        (SOURCE / name).write_text(text, encoding="utf-8")
    return SOURCE


def index_for_models() -> str:
    """llms.txt (llmstxt.org): what there is to read, a line for each page, for language models that help a user."""
    title, summary = heading_and_summary(PROJECT / "README.md")
    lines = [f"# {title}", "", f"> {summary}", "", "## Documentation", ""]
    for path in sorted((PROJECT / "docs").glob("*.md")):
        title, summary = heading_and_summary(path)
        lines.append(f"- [{title}](docs/{path.name}): {summary}")
    lines += ["", "## Code", "", "- [The README's table](README.md): which file to open for which change"]
    return "\n".join(lines) + "\n"


def heading_and_summary(path: Path) -> tuple[str, str]:
    """A page's title, and the first sentence below it."""
    blocks = [block for block in path.read_text(encoding="utf-8").split("\n\n") if block.strip()]
    title = blocks[0].removeprefix("# ").strip()
    text = next((b for b in blocks[1:] if not b.startswith(("#", "|", "```", "    ", "-", "!", ">", "<"))), title)
    return title, re.split(r"(?<=[.:])\s", " ".join(LINK.sub(r"\1", text).split()))[0].rstrip(":")


def readable(path: Path, folder: str) -> str:
    """A page as the site has it. folder: what the links to other pages begin with."""

    def link(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        if (
            target.startswith(folder)
            and target.partition("#")[0].endswith(".md")
            and "/" not in target.removeprefix(folder)
        ):
            return f"[{text}]({target.removeprefix(folder)})"
        return f"{text} (`{target.removeprefix('../')}`)" if text != target else f"`{target}`"

    return LINK.sub(link, path.read_text(encoding="utf-8"))
