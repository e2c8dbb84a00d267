"""TorchScript, safetensors, ONNX and Hugging Face folders: real ones pass, those that reach further are refused."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.ops.misc import Conv2dNormActivation, FrozenBatchNorm2d

from handlers.formats import huggingface, safetensors, torchscript
from handlers.formats import onnx as onnx_format
from handlers.formats.errors import UnsafeFile
from tests.handlers.formats.conftest import Rewrite
from tests.handlers.formats.scripted import Counts, Named, Reads, Saves

Check = Callable[[Path], object]


def test_real_files_pass(script: Path, tensors: Path, graph: Path, folder: Path, tmp_path: Path) -> None:
    torchscript.check(script)
    torch.jit.script(Counts()).save(tmp_path / "counts.pt")
    torchscript.check(tmp_path / "counts.pt")
    torch.jit.script(Named()).save(tmp_path / "named.pt")
    torchscript.check(tmp_path / "named.pt")
    assert safetensors.header(tensors) == {"a": (2, 3), "b": (4,), "none": (0,)}
    onnx_format.check(graph)
    huggingface.check(folder, "text-classification")


@pytest.mark.parametrize(("module", "operator"), [(Saves("never"), "save"), (Reads(), "from_file")])
def test_torchscript_that_reaches_for_files(module: nn.Module, operator: str, tmp_path: Path) -> None:
    torch.jit.script(module).save(tmp_path / "x.pt")
    with pytest.raises(UnsafeFile, match=rf"its code calls .*{operator}, which reads or writes files"):
        torchscript.check(tmp_path / "x.pt")


@pytest.mark.parametrize(
    "call", ["ops.image.write_file(a, b)", "ops.inductor.x(a)", "ops.profiler._call_end_callbacks_on_jit_fut(a)"]
)
def test_torchscript_with_operators_of_others(script: Path, rewrite: Rewrite, call: str) -> None:
    with pytest.raises(UnsafeFile, match="not one of torch's compute operators"):
        torchscript.check(rewrite(script, {"code/__torch__/x.py": call.encode()}))


@pytest.mark.parametrize(
    "statement",
    [
        "torch . save(a, b)",
        "torch.\\\n save(a, b)",
        "t = torch\n    t.save(a, b)",
        "(torch).save(a, b)",
        'getattr(torch, "save")(a, b)',
        "o = ops\n    o.aten.save(a, b)",
        "ops.aten .save(a, b)",
        'getattr(getattr(ops, "aten"), "save")(a, b)',
        'c = """ "\n    """\n    t = torch\n    d = """ "\n    """',
        "c = '\"'; t = torch; d = '\"'",
    ],
)
def test_torchscript_that_torch_did_not_print(script: Path, rewrite: Rewrite, statement: str) -> None:
    """Torch compiles nearly all of these, and they write a file."""
    code = f"def forward(a: Tensor, b: str) -> Tensor:\n    {statement}\n    return a\n"
    with pytest.raises(UnsafeFile, match="its code refers to operators in a form that torch does not print"):
        torchscript.check(rewrite(script, {"code/__torch__/x.py": code.encode()}))


@pytest.mark.parametrize("traced", [False, True])
def test_the_parts_that_torchvision_shares_are_not_operators(tmp_path: Path, traced: bool) -> None:
    """Their types are called torchvision.ops.…"""
    network = nn.Sequential(Conv2dNormActivation(3, 4), FrozenBatchNorm2d(4)).eval()
    module = torch.jit.trace(network, torch.zeros(1, 3, 8, 8)) if traced else torch.jit.script(network)
    module.save(tmp_path / "x.pt")
    torchscript.check(tmp_path / "x.pt")


def test_a_plain_save_is_not_torchscript(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "x.pt")
    with pytest.raises(UnsafeFile, match=r"is not TorchScript; a plain torch\.save is a pickle"):
        torchscript.check(tmp_path / "x.pt")


HEADER = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "entry",
    [
        {**HEADER, "shape": [1 << 60]},
        {**HEADER, "shape": [-2]},
        {**HEADER, "shape": ["2"]},
        {**HEADER, "dtype": "F1"},
        {**HEADER, "data_offsets": [0, 800]},
        {**HEADER, "data_offsets": [8, 0]},
        {**HEADER, "data_offsets": [0]},
        [],
        None,
    ],
)
def test_headers_that_do_not_fit(entry: object, tmp_path: Path) -> None:
    header = json.dumps({"w": entry}).encode()
    (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(UnsafeFile, match="the entry 'w' of its header does not fit its data"):
        safetensors.check(tmp_path / "x")


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, (1 << 62).to_bytes(8, "little"), b"\x02" + bytes(7) + b"[]"])
def test_what_is_not_safetensors(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UnsafeFile, match="is not safetensors"):
        safetensors.check(tmp_path / "x")


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "missing.data", "a/../b", "..", ".hidden"])
@pytest.mark.parametrize("where", ["initializer", "constant", "branch", "function"])
def test_tensors_outside_of_the_graphs_folder(graph: Path, tmp_path: Path, location: str, where: str) -> None:
    model = onnx.load(graph, load_external_data=False)
    tensor = model.graph.initializer.pop()
    [entry] = [entry for entry in tensor.external_data if entry.key == "location"]
    entry.value = location
    node = onnx.helper.make_node("Constant", [], ["w"], value=tensor)
    if where == "initializer":
        model.graph.initializer.append(tensor)
    elif where == "constant":
        model.graph.node.append(node)
    elif where == "branch":
        inner = onnx.helper.make_graph([node], "inner", [], [])
        model.graph.node.append(onnx.helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner))
    else:
        model.functions.append(onnx.helper.make_function("own", "f", [], ["w"], [node], []))
    (tmp_path / "graph.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UnsafeFile, match="which is not a file beside it"):
        onnx_format.check(tmp_path / "graph.onnx")


def test_a_link_beside_a_graph(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(graph.read_bytes())
    (tmp_path / "weights.data").symlink_to("/etc/passwd")
    with pytest.raises(UnsafeFile, match=r"'weights\.data', which is not a file beside it"):
        onnx_format.check(tmp_path / "graph.onnx")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("modeling_mine.py", b"", "is code"),
        ("deep/modeling_mine.py", b"", "is code"),
        ("pytorch_model.bin", b"PK", "is a pickle"),
        ("config.json", b'{"auto_map": {"AutoModel": "a--b.C"}}', "config.json names code of its own"),
        ("tokenizer_config.json", b'{"a": [{"auto_map": {"AutoTokenizer": ["x.Y", null]}}]}', "names code of its own"),
        ("config.json", b'{"trust_remote_code": true}', "names code of its own"),
        ("config.json", b"[" * 5000, "config.json is nested more than 64 deep"),
        ("config.json", b"{", "config.json is not JSON"),
        ("model.safetensors", b"x", "model.safetensors is not safetensors"),
        ("model.safetensors", None, "has no model.safetensors"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "../x.safetensors"}}', "names '../x.safetensors'"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "x.safetensors"}}', "names 'x.safetensors'"),
        ("model.safetensors.index.json", b"[]", "wanted weight_map"),
        ("config.json", None, "has no config.json"),
        ("adapter_config.json", b"{}", r"LoRA adapter without its base model; merge them: model\.merge_and_unload"),
        ("tokenizer_config.json", None, r"has no tokenizer; add it: AutoTokenizer\.from_pretrained"),
    ],
)
def test_folders_that_are_refused(folder: Path, name: str, content: bytes | None, message: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnsafeFile, match=message):
        huggingface.check(folder, "text-classification")


def test_links_out_of_a_folder(folder: Path) -> None:
    (folder / "vocab.txt").symlink_to("/etc/passwd")
    with pytest.raises(UnsafeFile, match=r"vocab\.txt is a link that leads out"):
        huggingface.check(folder, "text-classification")


def test_a_model_of_audio_needs_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer_config.json").unlink()
    huggingface.check(folder, "audio-classification")


@pytest.mark.parametrize(
    ("architectures", "is_recogniser"),
    [
        (["WhisperForConditionalGeneration"], True),
        (["HubertForCTC"], True),
        (["BertForSequenceClassification"], False),
        (["SpeechT5ForSpeechToText"], False),
        ("HubertForCTC", False),
        (None, False),
    ],
)
def test_a_speech_recogniser_is_of_a_known_kind(folder: Path, architectures: object, is_recogniser: bool) -> None:
    configuration = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**configuration, "architectures": architectures}))
    if is_recogniser:
        huggingface.check(folder, "speech-recognition")
        return
    with pytest.raises(UnsafeFile, match="wanted a CTC model or WhisperForConditionalGeneration"):
        huggingface.check(folder, "speech-recognition")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["script", "tensors", "graph"]),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=8),
    share=st.floats(0, 2),
)
def test_changed_bytes_end_in_nothing_but_a_clean_error(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, changes: list[tuple[int, int]], share: float
) -> None:
    checks: dict[str, Check] = {
        "script": torchscript.check,
        "tensors": safetensors.check,
        "graph": onnx_format.check,
    }
    content = bytearray(request.getfixturevalue(name).read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path = tmp_path / "changed"
    path.write_bytes(content[: int(len(content) * share)])
    (tmp_path / "weights.data").touch()
    try:
        checks[name](path)
    except UnsafeFile:
        return
