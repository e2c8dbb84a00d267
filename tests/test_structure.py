"""The rules between folders, read off the code's own imports."""

import ast
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
FOLDERS = {"bounded_yaml", "handlers", "archiver", "train", "client", "deploy", "trust", "zygote", "scripts", "tests"}
SHARED_WITH_TRAINING = (
    "handlers.vision.transform",
    "handlers.vision.views",
    "handlers.vision.depth_transform",
    "handlers.formats",
    "handlers.networks",
    "handlers.audio.features",
    "handlers.audio.front_end",
    "handlers.audio.decoding",
    "handlers.audio.windows",
    "handlers.vision.decoding",
    "handlers.vision.formats",
    "handlers.protocol.payload",
    "handlers.errors",
)
# Tasks of train/, and what the demo's data sets are made with. Modules in no room are shared.
ROOMS = (
    "train.vision.classification",
    "train.vision.detection",
    "train.vision.segmentation",
    "train.audio.classification",
    "train.text",
    "train.rl",
    "train.export",
    "train.demo.shapes",
    "train.demo.spoken_digits",
    "train.demo.language_id",
)
ALLOWED = {
    "handlers": set(),
    "archiver": {"bounded_yaml", "handlers", "trust", "zygote"},
    "bounded_yaml": set(),
    "client": set(),
    "train": {"bounded_yaml", "handlers"},
    "deploy": {"bounded_yaml", "client", "handlers", "trust", "zygote"},
    "trust": set(),
    "zygote": set(),
}


@cache
def imports(path: Path) -> frozenset[str]:
    """Dotted names of all modules a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def message(path: Path, names: Iterable[str], may: str) -> str:
    return f"{path.relative_to(PROJECT)} imports {', '.join(sorted(names))}; wanted {may}"


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    files = sorted((PROJECT / folder).rglob("*.py"))
    assert files
    for path in files:
        ours = {name for name in imports(path) if name.split(".")[0] in FOLDERS - {folder}}
        wrong = {name for name in ours if name.split(".")[0] not in ALLOWED[folder]}
        assert not wrong, message(path, wrong, f"only {', '.join(sorted({folder, *ALLOWED[folder]}))}")
        if folder in ("archiver", "deploy"):  # of what is packed, only the readers of formats
            theirs = {name for name in ours if name.startswith("handlers")}
            wrong = {name for name in theirs if not f"{name}.".startswith("handlers.formats.")}
            assert not wrong, message(path, wrong, "handlers.formats")
        if folder == "train":
            theirs = {name for name in ours if name.startswith("handlers")}
            wrong = {name for name in theirs if not f"{name}.".startswith(tuple(f"{s}." for s in SHARED_WITH_TRAINING))}
            assert not wrong, message(path, wrong, ", ".join(SHARED_WITH_TRAINING))


def room(name: str) -> str:
    """The room of train/ that a module is in; "" for what the rooms share."""
    return next((room for room in ROOMS if f"{name}.".startswith(f"{room}.")), "")


def test_a_room_of_training_imports_no_other_room() -> None:
    files = sorted((PROJECT / "train").rglob("*.py"))
    assert len(files) > 60
    for path in files:
        name = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
        theirs = {room(other) for other in imports(path)} - {"", room(name)}
        assert not theirs, f"{name} imports {', '.join(theirs)}"


SUBJECTS = ("vision", "audio", "text", "rl")


def test_what_the_rooms_of_training_share_knows_no_other_subject() -> None:
    """train/vision/ and the like import nothing of each other, and core/ and plots/ nothing of any."""
    files = sorted(path for room in (*SUBJECTS, "core", "plots") for path in (PROJECT / "train" / room).rglob("*.py"))
    assert len(files) > 60
    for path in files:
        subject = path.relative_to(PROJECT / "train").parts[0]
        ours = {name for name in imports(path) if name.startswith("train.")}
        wrong = {name for name in ours if name.split(".")[1] in set(SUBJECTS) - {subject}}
        assert not wrong, message(path, wrong, "no other subject")


def test_the_readers_of_formats_need_only_the_standard_library() -> None:
    """At import: torch is imported by those that resolve a network."""
    files = sorted((PROJECT / "handlers" / "formats").glob("*.py"))
    assert len(files) > 8
    for path in files:
        wrong = {name for name in at_import(path) if name.split(".")[0] not in sys.stdlib_module_names}
        wrong = {name for name in wrong if not name.startswith("handlers.formats")}
        assert not wrong, message(path, wrong, "only the standard library at import")


TASK_ROOMS = ("vision", "audio", "text", "policy")


def test_the_rooms_of_the_handlers() -> None:
    """protocol/ needs no torch, only torchserve/ knows TorchServe, and no task knows another."""
    files = sorted((PROJECT / "handlers").rglob("*.py"))
    assert len(files) > 60
    for path in files:
        room, names = path.relative_to(PROJECT / "handlers").parts[0], imports(path)
        top = {name.split(".")[0] for name in names}
        wrong = top & {"torch", "torchvision", "torchaudio"} if room == "protocol" else set()
        assert not wrong, message(path, wrong, "no torch")
        assert room == "torchserve" or "ts" not in top, message(path, {"ts"}, "handlers.torchserve in its place")
        if room in TASK_ROOMS:
            others = tuple(f"handlers.{other}." for other in TASK_ROOMS if other != room)
            wrong = {name for name in names if f"{name}.".startswith(others)}
            assert not wrong, message(path, wrong, "no other task's room")


def test_reading_a_request_needs_no_torch() -> None:
    """Neither does anything that protocol/ imports; numpy decodes tensors."""
    modules = [f"handlers.protocol.{path.stem}" for path in (PROJECT / "handlers" / "protocol").glob("[!_]*.py")]
    assert len(modules) > 5
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, capture_output=True, text=True)
    found = {"torch", "ts", "onnxruntime"} & set(printed.stdout.split())
    assert not found, f"handlers/protocol/, or what it imports, imports {', '.join(sorted(found))}"


def test_nothing_imports_the_front_door_or_the_benchmarks() -> None:
    files = [path for folder in ALLOWED for path in (PROJECT / folder).rglob("*.py")]
    assert files
    for path in files:
        wrong = {name for name in imports(path) if name.split(".")[0] in {"bundle", "benchmarks", "documentation"}}
        assert not wrong, message(path, wrong, "none of what uses the product")


def test_no_folder_is_too_wide_to_be_seen_at_once() -> None:
    """Twenty files at most."""
    for folder in (*ALLOWED, "benchmarks", "documentation", "tests"):
        for path in ((PROJECT / folder), *(PROJECT / folder).rglob("*/")):
            count = len(list(path.glob("*.py")))
            assert count <= 20, f"{path.relative_to(PROJECT)} has {count} Python files; wanted 20 at most"


def test_the_doctor_and_the_front_door_need_only_the_standard_library() -> None:
    """At import; what they need of a package they import where they use it."""
    pending = [PROJECT / "bundle.py", PROJECT / "deploy" / "doctor" / "__main__.py"]
    seen: set[Path] = set()
    while pending:
        path = pending.pop()
        seen.add(path)
        for name in at_import(path):
            top = name.split(".")[0]
            allowed = top in FOLDERS or top in sys.stdlib_module_names
            assert allowed, message(path, {name}, "only the standard library at import")
            module = PROJECT / Path(*name.split(".")).with_suffix(".py")
            if module.is_file() and module not in seen:
                pending.append(module)
    assert PROJECT / "deploy" / "ports.py" in seen


def at_import(path: Path) -> set[str]:
    """Dotted names of the modules that importing a file imports."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def test_no_modules_import_each_other() -> None:
    """Not for types alone either."""
    folders = (*ALLOWED, "benchmarks", "documentation", "tests")
    files = [path for folder in folders for path in (PROJECT / folder).rglob("*.py")]
    modules = {".".join(path.relative_to(PROJECT).with_suffix("").parts): path for path in files}
    assert len(modules) > 900
    graph = {name: imports(path) & modules.keys() for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports go round in a circle: {' -> '.join(error.args[1])}")


MAX_LINES = 250
# Written by grpcio-tools.
GENERATED = PROJECT / "client" / "stubs"


def test_no_file_is_too_long_to_be_kept_in_mind() -> None:
    folders = (*ALLOWED, "benchmarks", "documentation", "tests")
    files = [path for folder in folders for path in (PROJECT / folder).rglob("*.py") if GENERATED not in path.parents]
    assert len(files) > 900
    lengths = {str(path.relative_to(PROJECT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    long = [f"{path} ({lines})" for path, lines in lengths.items() if lines > MAX_LINES]
    assert not long, f"longer than {MAX_LINES} lines: {', '.join(sorted(long))}; split them by what they are about"


def test_serving_imports_no_training_library() -> None:
    training = {"lightning", "torchmetrics", "gymnasium", "sklearn", "skimage", "matplotlib", "tensorboard", "django"}
    for folder in ALLOWED.keys() - {"train"}:
        for path in (PROJECT / folder).rglob("*.py"):
            if path != PROJECT / "deploy" / "tuning" / "plot.py":  # imported by one command alone, where it is there
                wrong = {name for name in imports(path) if name.split(".")[0] in training}
                assert not wrong, message(path, wrong, "no training library")


def test_nothing_unpickles() -> None:
    for folder in ALLOWED:
        for path in (PROJECT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            wrong = imports(path) & {"pickle", "cloudpickle", "dill", "joblib"}
            assert not wrong, message(path, wrong, "nothing that unpickles")
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                    arguments = {(k.arg, ast.unparse(k.value)) for k in node.keywords}
                    assert ("weights_only", "True") in arguments, f"{path}:{node.lineno}: wanted weights_only=True"
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.export.load":
                    source = ast.unparse(node.args[0])
                    assert source.startswith("without_samples("), f"{path}:{node.lineno}: wanted without_samples(…)"
