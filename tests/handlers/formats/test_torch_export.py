"""Every place where torch.export.load could run code from a .pt2; and the programs that have to pass."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from handlers.acceleration.onnx_runtime import export
from handlers.artifact import Artifact, LoadError
from handlers.formats import torch_export
from handlers.formats.errors import UnsafeFile
from handlers.formats.symbolic import is_guard, is_size
from handlers.loader import load_model
from handlers.networks.outputs import Outputs
from tests.handlers.formats.conftest import Rewrite

MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


class Runs:
    """Unpickled, it would leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def artifact(path: Path) -> Artifact:
    return Artifact("m", "policy", "torch-export", path, None, [], {}, path, path.with_name("graph.onnx"))


def read(path: Path, name: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(f"{archive.namelist()[0].partition('/')[0]}/{name}"))


def pickled(value: object) -> bytes:
    content = io.BytesIO()
    torch.save(value, content)
    return content.getvalue()


def test_a_program_answers_as_before(program: Path) -> None:
    inputs = torch.randn(5, 4)
    model = load_model(artifact(program), torch.device("cpu"))
    assert torch.equal(model(inputs), torch.export.load(program).module()(inputs))


def test_a_program_can_be_written_as_a_graph(program: Path, tmp_path: Path) -> None:
    """Which needs inputs to check by guards: the pickled ones are gone, and others stand for them."""
    model = load_model(artifact(program), torch.device("cpu"))
    export(Outputs(model).eval(), torch.zeros(1, 4), (0,), tmp_path / "graph.onnx")
    assert (tmp_path / "graph.onnx").is_file()


def test_sample_inputs_are_not_unpickled(program: Path, rewrite: Rewrite, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    changed = rewrite(program, {"data/sample_inputs/model.pt": pickled(Runs(trace))})
    load_model(artifact(changed), torch.device("cpu"))
    assert not trace.exists()


def test_a_pickled_weight(program: Path, rewrite: Rewrite, tmp_path: Path) -> None:
    trace, config = tmp_path / "ran", read(program, WEIGHTS)
    entry = config["config"]["layer.weight"]
    entry["use_pickle"] = True
    changed = rewrite(
        program, {WEIGHTS: json.dumps(config).encode(), f"data/weights/{entry['path_name']}": pickled(Runs(trace))}
    )
    for call in (lambda: torch_export.check(changed), lambda: load_model(artifact(changed), torch.device("cpu"))):
        with pytest.raises((UnsafeFile, LoadError), match=r"layer.weight is a pickle, which runs code"):
            call()
    assert not trace.exists()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("data/weights/model.pt", "is a pickle"),
        ("data/constants/model.pt", "is a pickle"),
        ("data/constants/custom_obj_0", "is a pickle"),
        ("serialized_state_dict.pt", "is a pickle"),
        ("data/aotinductor/model/x.wrapper.so", "is compiled code"),
        ("data/aotinductor/model/x.wrapper.cpp", "is compiled code"),
        ("models/other.json", "is not part of a .pt2"),
        ("data/weights/../../x", "leads out"),
    ],
)
def test_members_that_run(program: Path, rewrite: Rewrite, member: str, message: str) -> None:
    with pytest.raises(UnsafeFile, match=message):
        torch_export.check(rewrite(program, {member: b"x"}))


@pytest.mark.parametrize("member", [MODEL, WEIGHTS, "data/sample_inputs/model.pt", "archive_format"])
def test_missing_members(program: Path, rewrite: Rewrite, member: str) -> None:
    with pytest.raises(UnsafeFile, match="missing"):
        torch_export.check(rewrite(program, {member: None}))


CODE = "__import__('pathlib').Path('/tmp/never').touch()"
TUPLE = '[1, {"type": "builtins.tuple", "context": %s, "children_spec": []}]'
ENUM = json.dumps(json.dumps({"__enum__": True, "fqn": "antigravity:x", "name": "y"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(guards_code=[CODE]), "its guard"),
        (lambda m: m.update(guards_code=["L['x'].size()[0] == 1 and exit()"]), "its guard"),
        (lambda m: symbol(m).update(expr_str=CODE), "its size"),
        (lambda m: symbol(m).update(expr_str="Symbol('s0').func.__globals__"), "its size"),
        (lambda m: symbol(m).update(expr_str="9**9**9**9"), "its size"),
        (lambda m: nodes(m)[0].update(target="torch.os.system"), "its operator 'torch.os.system'"),
        (lambda m: nodes(m)[0].update(target="torch.ops.aten.from_file.default"), "its operator"),
        (lambda m: nodes(m)[0].update(target="torch.ops.aten.save.default"), "its operator"),
        (lambda m: nodes(m)[0].update(target="torch.ops.image.write_file.default"), "its operator"),
        (lambda m: nodes(m)[0].update(target="_operator.methodcaller"), "its operator"),
        (lambda m: nodes(m)[0].update(name="x=exit()"), "is not a name"),
        (lambda m: m["graph_module"]["graph"]["inputs"][0]["as_tensor"].update(name="x=exit()"), "is not a name"),
        (lambda m: signature(m).update(forward_arg_names=["x=exit()"]), "arguments' names"),
        (lambda m: signature(m).update(in_spec=TUPLE % ENUM), "would import code"),
        (lambda m: signature(m).update(in_spec=TUPLE % '{"default_factory_module": "antigravity"}'), "would import"),
        (lambda m: m["graph_module"]["graph"].update(custom_obj_values={"a": {}}), "custom object"),
    ],
)
def test_code_inside_the_program(program: Path, rewrite: Rewrite, change: Any, message: str) -> None:
    model = read(program, MODEL)
    change(model)
    with pytest.raises(UnsafeFile, match=message):
        torch_export.check(rewrite(program, {MODEL: json.dumps(model).encode()}))


def nodes(model: Any) -> Any:
    return model["graph_module"]["graph"]["nodes"]


def signature(model: Any) -> Any:
    return model["graph_module"]["module_call_graph"][0]["signature"]


def symbol(model: Any) -> Any:
    """The first size of the program that is an expression."""
    todo = [model]
    while todo:
        found = todo.pop()
        if isinstance(found, dict) and "expr_str" in found:
            return found
        todo += found.values() if isinstance(found, dict) else found if isinstance(found, list) else []
    raise AssertionError("no size is dynamic")


def test_a_tensor_larger_than_its_bytes(program: Path, rewrite: Rewrite) -> None:
    config = read(program, WEIGHTS)
    config["config"]["scale"]["tensor_meta"]["sizes"] = [{"as_int": 1 << 50}]
    with pytest.raises(UnsafeFile, match="scale needs 4"):
        torch_export.check(rewrite(program, {WEIGHTS: json.dumps(config).encode()}))


class Rich(nn.Module):
    """A convolution, a resize to its input's size, and a recurrent layer's operators."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.recurrent = nn.GRU(4, 4, batch_first=True)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = nn.functional.interpolate(self.convolution(x), size=(x.shape[2], x.shape[3]))
        return {"out": maps, "sequence": self.recurrent(maps.flatten(2).transpose(1, 2))[0]}


def test_programs_with_symbolic_shapes_pass(tmp_path: Path) -> None:
    path, auto = tmp_path / "rich.pt2", torch.export.Dim.AUTO
    shapes = ({0: auto, 2: auto, 3: auto},)
    torch.export.save(torch.export.export(Rich().eval(), (torch.zeros(2, 3, 4, 8),), dynamic_shapes=shapes), path)
    model = load_model(artifact(path), torch.device("cpu"))
    assert model(torch.zeros(3, 3, 8, 4))["out"].shape == (3, 4, 8, 4)
    with pytest.raises(AssertionError, match="Guard failed"):
        model(torch.zeros(3, 3, 6, 10))  # the recurrent layer was exported for 32 steps


def test_a_branch_passes(tmp_path: Path) -> None:
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x * 2, (x,))
            return found

    path = tmp_path / "branch.pt2"
    torch.export.save(torch.export.export(Branch(), (torch.ones(2),)), path)
    assert load_model(artifact(path), torch.device("cpu"))(torch.ones(2)).tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    "text",
    [
        "s77",
        "Symbol('s77', positive=True, integer=True)",
        "Add(Mul(Integer(2), Symbol('s0', integer=True)), Integer(1))",
        "Pow(Symbol('s0', integer=True), Integer(2))",
        "FloorDiv(s0 + 1, 2) - Max(1, u0)",
        "Eq(s0 % 2, 0)",
        "s0**2",
    ],
)
def test_sizes(text: str) -> None:
    assert is_size(text)
    assert is_guard(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "(", "lambda: 0", "[s0 for s0 in (1, 2)]", "s0.func", "f'{s0}'", "s0 if s0 else s0", "getattr(s0, 'a')"),
        *("Symbol('a' * 9)", "Symbol(name='s0')", "Max(*s0)", "s0[0]", "2**99", "((2**60)**60)**60", "9" * 30, "L"),
        *("Symbol('__import__')", "Max(s0, key=exit)", "Pow(2, Pow(9, Pow(9, 9)))", "s0" + "+s0" * 1000, "open"),
        *("PowByNatural(10, 10000000000)", "1 << 99999999999", "Pow(Integer(9), Integer(99999999))"),
    ],
)
def test_what_is_not_a_size(text: str) -> None:
    assert not is_size(text)
