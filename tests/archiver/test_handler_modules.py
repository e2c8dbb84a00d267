"""Which modules of handlers/ an archive holds."""

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from archiver.archive import build
from archiver.handler_modules import needed
from archiver.package import python_files, resolve
from archiver.tasks import TASKS
from tests.archiver.sample_project import SampleProject

HANDLERS = Path(__file__).parents[2] / "handlers"
# Imports every module that is packed, and then what their functions import, with nothing but the archive at hand.
SCRIPT = """
import ast, importlib, sys
from pathlib import Path
root = Path(sys.argv[1])
sys.path[:] = [str(root), *(path for path in sys.path if path and "site-packages" in path or "python3" in path)]
names = {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
         for path in root.rglob("handlers/**/*.py")}
for name, path in names.items():
    assert importlib.import_module(name).__file__ == str(path), name
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("handlers"):
            exec(compile(ast.Module([node], []), str(path), "exec"), {})
print(len(names))
"""


def written(folder: Path, files: dict[str, str]) -> dict[str, Path]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return python_files(folder)


def test_what_is_imported_however_deep_and_late(tmp_path: Path) -> None:
    modules = written(
        tmp_path,
        {
            "__init__.py": "",
            "root.py": "import handlers.a\nfrom handlers.pack import b, VALUE\nfrom os import path\n",
            "a.py": "def later():\n    from handlers.deep.c import X\n    return X\n",
            "pack/__init__.py": "VALUE = 1\n",
            "pack/b.py": "CLASS = 'handlers.named.Class'\n",
            "pack/beside.py": "",
            "deep/__init__.py": "",
            "deep/c.py": "if TYPE_CHECKING:\n    import handlers.typed\n",
            "named.py": "import handlers.root\n",
            "typed.py": "",
            "other.py": "# import handlers.a\n",
        },
    )
    found = needed(modules, ["handlers.root.Class", "own.module", ""])
    assert set(modules) - set(found) == {"pack/beside.py", "other.py"}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_needs_nothing_of_the_other_rooms(task: str) -> None:
    found = needed(python_files(HANDLERS), ["handlers.entry", TASKS[task].handler])
    rooms = {name.partition("/")[0] for name in found} & {"vision", "audio", "text", "policy", "explanation"}
    assert rooms == {TASKS[task].handler.split(".")[1]}


@pytest.mark.parametrize(
    "name", ["tiny-policy", "tiny-image", "tiny-whisper", "tiny-writer", "tiny-yolo", "tiny-semantic", "tiny-zero-shot"]
)
def test_an_archive_imports_nothing_that_it_lacks(
    name: str, tiny_archive: Callable[[str], Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tiny_archive(name)) as file:
        file.extractall(tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert not run.returncode, run.stderr
    assert 90 < int(run.stdout) < 200


def test_code_of_ones_own_may_import_any(project: SampleProject) -> None:
    def names() -> list[str]:
        package = resolve(project.spec_file, project.artifacts)
        return zipfile.ZipFile(build(package, project.handlers, project.store).path).namelist()

    (project.handlers / "vision" / "extra.py").touch()
    assert "handlers/vision/extra.py" not in names()
    (project.spec_file.parent / "own.py").touch()
    project.spec(code=["own.py"])
    assert "handlers/vision/extra.py" in names()
