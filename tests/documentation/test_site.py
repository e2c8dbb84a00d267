"""The documentation as a site: it builds without a warning, no link is broken, and its examples are valid."""

import ast
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from archiver.spec import Spec
from deploy.configuration import PROJECT
from documentation.source import index_for_models
from train.core.experiment import SYSTEMS, load

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, text) of every block in a language."""
    return [
        (path.name, text)
        for path in PAGES
        for found, text in BLOCK.findall(path.read_text(encoding="utf-8"))
        if found == language
    ]


class Page(HTMLParser):
    """The addresses a page names, and the anchors it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in ("script", "img") and "src" in values:
            self.loads.append(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "preconnect", "icon"):
            self.loads.append(values["href"])


@pytest.fixture(scope="module")
def site() -> Path:
    command = [sys.executable, "-m", "documentation", "--build"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return PROJECT / ".site" / "html"


@pytest.mark.slow
def test_every_link_leads_somewhere_and_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 15
    broken = []
    for path, page in pages.items():
        assert not [address for address in page.loads if urlsplit(address).scheme or address.startswith("//")], path
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            missing = not target.is_file() or (
                parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in pages[target].anchors
            )
            if missing:
                broken.append(f"{path.relative_to(site)}: {link}")
    assert not broken
    assert (site / "search.json").stat().st_size > 50_000


@pytest.mark.slow
def test_the_reference_names_every_key(site: Path) -> None:
    spec = (site / "reference" / "spec.html").read_text(encoding="utf-8")
    for name in Spec.model_fields:
        assert f"<code>{name}</code>" in spec
    experiments = (site / "reference" / "experiments.html").read_text(encoding="utf-8")
    for system in SYSTEMS:
        assert f'id="{system}"' in experiments
    for key in ("trainer.epochs", "learning.learning_rate", "augmentation.min_scale", "num_envs"):
        assert f"<code>{key}</code>" in experiments
    assert "augmentations" in (site / "reference" / "commands.html").read_text(encoding="utf-8")
    assert "predict" in (site / "reference" / "python.html").read_text(encoding="utf-8")


def test_llms_txt_is_todays() -> None:
    assert (PROJECT / "llms.txt").read_text(encoding="utf-8") == index_for_models(), "run ./scripts/docs --build"


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_an_example_of_a_configuration_is_valid(page: str, text: str, tmp_path: Path) -> None:
    values = yaml.safe_load(text)
    assert values, page
    if isinstance(values, dict) and "system" in values:
        path = tmp_path / "example.yaml"
        path.write_text(text, encoding="utf-8")
        load(str(path))


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_an_example_in_python_is_python(page: str, text: str) -> None:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and (PROJECT / node.module.partition(".")[0]).is_dir():
            assert find_spec(node.module) is not None, f"{page}: {node.module}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_a_page_names_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for script in re.findall(r"\./scripts/([a-z-]+)", text):
        assert (PROJECT / "scripts" / script).is_file(), script
    for module in re.findall(r"python -m ([a-z_.]+[a-z_])", text):
        if (PROJECT / module.partition(".")[0]).exists():
            assert find_spec(module) is not None, module
    for file in re.findall(
        r"`((?:handlers|train|archiver|deploy|client|zygote|benchmarks|docker|docs)/[\w/-]+(?:/|\.\w+))`", text
    ):
        assert (PROJECT / file).exists(), file
