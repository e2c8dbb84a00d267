"""The rules between folders, read off the code's own imports."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
FOLDERS = {"handlers", "archiver", "train", "client", "deploy", "trust", "zygote", "scripts", "tests"}
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
    "archiver": {"handlers", "trust", "zygote"},
    "client": set(),
    "train": {"handlers"},
    "deploy": {"client", "trust", "zygote"},
    "trust": set(),
    "zygote": set(),
}


def imports(path: Path) -> set[str]:
    """Dotted names of all modules a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    files = sorted((PROJECT / folder).rglob("*.py"))
    assert files
    for path in files:
        ours = {name for name in imports(path) if name.split(".")[0] in FOLDERS - {folder}}
        assert {name.split(".")[0] for name in ours} <= ALLOWED[folder], path
        if folder == "archiver":  # of what it packs, only the readers of formats
            theirs = {name for name in ours if name.startswith("handlers")}
            assert all(f"{name}.".startswith("handlers.formats.") for name in theirs), path
        if folder == "train":
            assert all(f"{name}.".startswith(tuple(f"{s}." for s in SHARED_WITH_TRAINING)) for name in ours), path


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
        theirs = {name.split(".")[1] for name in imports(path) if name.startswith("train.")}
        assert not theirs & set(SUBJECTS) - {subject}, path


def test_the_readers_of_formats_need_only_the_standard_library() -> None:
    """At import: torch is imported by those that resolve a network."""
    files = sorted((PROJECT / "handlers" / "formats").glob("*.py"))
    assert len(files) > 8
    for path in files:
        for name in at_import(path):
            assert name.startswith("handlers.formats") or name.split(".")[0] in sys.stdlib_module_names, path


TASK_ROOMS = ("vision", "audio", "text", "policy")


def test_the_rooms_of_the_handlers() -> None:
    """protocol/ needs no torch, only torchserve/ knows TorchServe, and no task knows another."""
    files = sorted((PROJECT / "handlers").rglob("*.py"))
    assert len(files) > 60
    for path in files:
        room, names = path.relative_to(PROJECT / "handlers").parts[0], imports(path)
        top = {name.split(".")[0] for name in names}
        assert room != "protocol" or not top & {"torch", "torchvision", "torchaudio"}, path
        assert room == "torchserve" or "ts" not in top, path
        if room in TASK_ROOMS:
            theirs = {name.split(".")[1] for name in names if name.startswith("handlers.")}
            assert not theirs & set(TASK_ROOMS) - {room}, path


def test_reading_a_request_needs_no_torch() -> None:
    """Neither does anything that protocol/ imports; numpy decodes tensors."""
    modules = [f"handlers.protocol.{path.stem}" for path in (PROJECT / "handlers" / "protocol").glob("[!_]*.py")]
    assert len(modules) > 5
    unwanted = "{'torch', 'ts', 'onnxruntime'}"
    code = f"import sys, {', '.join(modules)}; sys.exit(sorted({unwanted} & sys.modules.keys()) or 0)"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


def test_nothing_imports_the_front_door_or_the_benchmarks() -> None:
    files = [path for folder in ALLOWED for path in (PROJECT / folder).rglob("*.py")]
    assert files
    for path in files:
        assert not {"bundle", "benchmarks", "documentation"} & {name.split(".")[0] for name in imports(path)}, path


def test_no_folder_is_too_wide_to_be_seen_at_once() -> None:
    """Twenty files at most."""
    for folder in (*ALLOWED, "benchmarks", "documentation", "tests"):
        for path in ((PROJECT / folder), *(PROJECT / folder).rglob("*/")):
            assert len(list(path.glob("*.py"))) <= 20, path


def test_the_doctor_and_the_front_door_need_only_the_standard_library() -> None:
    """At import; what they need of a package they import where they use it."""
    pending = [PROJECT / "bundle.py", PROJECT / "deploy" / "doctor" / "__main__.py"]
    seen: set[Path] = set()
    while pending:
        path = pending.pop()
        seen.add(path)
        for name in at_import(path):
            top = name.split(".")[0]
            assert top in FOLDERS or top in sys.stdlib_module_names, f"{path} imports {name}"
            module = PROJECT / Path(*name.split(".")).with_suffix(".py")
            if module.is_file() and module not in seen:
                pending.append(module)
    assert PROJECT / "deploy" / "ports.py" in seen


def at_import(path: Path) -> set[str]:
    """Dotted names of the modules that importing a file imports."""
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def test_serving_imports_no_training_library() -> None:
    training = {"lightning", "torchmetrics", "gymnasium", "sklearn", "skimage", "matplotlib", "tensorboard", "django"}
    for folder in ("handlers", "client", "deploy", "archiver", "trust", "zygote"):
        for path in (PROJECT / folder).rglob("*.py"):
            if path != PROJECT / "deploy" / "tuning" / "plot.py":  # imported by one command alone, where it is there
                assert not {name.split(".")[0] for name in imports(path)} & training, path


def test_nothing_unpickles() -> None:
    for folder in ("handlers", "archiver", "train", "client", "deploy", "trust", "zygote"):
        for path in (PROJECT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert not imports(path) & {"pickle", "cloudpickle", "dill", "joblib"}, path
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                    assert {"weights_only": "True"}.items() <= {(k.arg, ast.unparse(k.value)) for k in node.keywords}, (
                        path
                    )
