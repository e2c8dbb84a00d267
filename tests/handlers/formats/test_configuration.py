"""Settings in a Hugging Face folder that are refused, and networks that are far larger than their weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from handlers.artifact import Artifact, LoadError
from handlers.formats import configuration, huggingface, pretrained
from handlers.formats.errors import UnsafeFile
from handlers.loader import from_huggingface, load_model
from handlers.vision.huggingface.image_processor import ImageProcessor
from tests.tiny_transformers import save, vit


def change(path: Path, **values: Any) -> None:
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, **values}))


def artifact(folder: Path) -> Artifact:
    return Artifact("x", "text-classification", "huggingface", folder, None, [], {}, folder / "none", folder / "none")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"auto_map": {"AutoModel": "x.Y"}}, r"names code of its own \(auto_map\)"),
        ({"text_config": [{"trust_remote_code": True}]}, r"names code of its own \(trust_remote_code\)"),
        ({"attn_implementation": "somebody/kernel"}, "names a kernel from a hub"),
        ({"_attn_implementation": {"text_config": "somebody/kernel:forward"}}, "names a kernel from a hub"),
        ({"text_config": {"_attn_implementation_internal": "a/b@v1"}}, "names a kernel from a hub"),
        ({"experts_implementation": "somebody/kernel"}, "names a kernel from a hub"),
        ({"gguf_file": "/etc/passwd"}, r"names another file \(gguf_file\)"),
        ({"backbone_kwargs": {"checkpoint_path": "elsewhere.pth"}}, r"names another file \(checkpoint_path\)"),
        ({"backbone": "hf-hub:somebody/network"}, "'hf-hub:somebody/network' would be read from elsewhere"),
        ({"backbone_config": {"backbone": "local-dir:/home"}}, "'local-dir:/home' would be read from elsewhere"),
        ({"backbone": "somebody/network"}, "would be read from elsewhere"),
        ({"architecture": "hf-hub:somebody/network"}, "would be read from elsewhere"),
        ({"num_hidden_layers": 1 << 60}, f"num_hidden_layers: got {1 << 60}; wanted 0 to 100000"),
        ({"num_hidden_layers": 10**5000}, "num_hidden_layers: got a number of 16610 bits"),
        ({"num_attention_heads": -1}, "got -1"),
        ({"num_labels": 10**9}, "got 1000000000"),
        ({"n_layer": 10**9}, "got 1000000000"),
        ({"encoder_layers": 10**9}, "got 1000000000"),
        ({"depths": [1, 10**9]}, "got 1000000000"),
    ],
)
def test_what_a_configuration_may_not_say(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsafeFile, match=message):
        configuration.check(values, "config.json")


def test_what_published_configurations_say() -> None:
    """Of DETR, Llama, Whisper, LLaVA and a folder of timm's."""
    configuration.check(
        {
            "auto_map": {},
            "backbone": "resnet50",
            "use_pretrained_backbone": True,
            "attn_implementation": "flash_attention_2",
            "architecture": "vit_base_patch16_224.augreg_in21k",
            "rope_theta": 10_000_000,
            "max_position_embeddings": 10_485_760,
            "n_positions": 1_048_576,
            "n_samples": 480_000,
            "num_labels": 21_843,
            "vision_feature_layer": -2,
            "feature_layers": [-1, -2],
            "num_hidden_layers": 80,
            "n_inner": None,
        },
        "config.json",
    )


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json", "deep/other.json"])
def test_every_json_file_of_a_folder_is_looked_at(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    change(folder / name, gguf_file="/etc/passwd")
    with pytest.raises(UnsafeFile, match=f"{name} names another file"):
        huggingface.check(folder, "text-classification")


@pytest.mark.parametrize("content", [b"{{ 1 }}" * 40_000, b"\xff\xfe{{ 1 }}"])
@pytest.mark.parametrize("name", ["chat_template.jinja", "additional_chat_templates/tools.jinja"])
def test_chat_templates_that_are_too_large_or_no_text(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    with pytest.raises(UnsafeFile, match=rf"{name} (has 280000 bytes; wanted 262144 at most|is not UTF-8)"):
        huggingface.check(folder, "text-classification")


@pytest.mark.parametrize(
    "lie", [{"vocab_size": 1 << 30}, {"max_position_embeddings": 1 << 30}, {"num_hidden_layers": 90_000}]
)
def test_a_network_far_larger_than_its_weights_is_not_built(folder: Path, lie: dict[str, int]) -> None:
    change(folder / "config.json", **lie)
    with pytest.raises(LoadError, match=r"config\.json describes a far larger model than the weights, which hold"):
        load_model(artifact(folder), torch.device("cpu"))


def test_a_configuration_of_other_weights(folder: Path) -> None:
    change(folder / "config.json", vocab_size=300)
    with pytest.raises(
        LoadError, match=r"embeddings\.weight has the shape \[\d+, \d+\]; by config\.json it has \[300,"
    ):
        from_huggingface(artifact(folder), torch.device("cpu"))


@pytest.mark.parametrize("values", [{"hidden_size": "7"}, {"model_type": ["bert"]}, {"quantization_config": [1]}])
def test_a_configuration_that_transformers_does_not_take(folder: Path, values: dict[str, Any]) -> None:
    change(folder / "config.json", **values)
    with pytest.raises(LoadError, match="the folder's configuration cannot be read: "):
        load_model(artifact(folder), torch.device("cpu"))


def test_a_tokenizer_that_makes_a_text_far_longer(folder: Path) -> None:
    replace = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}
    change(folder / "tokenizer.json", normalizer={"type": "Sequence", "normalizers": [replace] * 200})
    with pytest.raises(UnsafeFile, match="normalizer: its replacements can make a text more than 1000 times as long"):
        huggingface.check_vocabulary(folder)
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    huggingface.check_growth({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, spaces]})
    huggingface.check_growth(None)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"tokenizer_class": ["BertTokenizer"]}, "'list' object has no attribute"),
        ({"padding_side": "up"}, "Padding side should be selected"),
        ({"chat_template": [1]}, "'int' object is not subscriptable"),
    ],
)
def test_a_tokenizer_that_transformers_does_not_take(folder: Path, settings: dict[str, Any], reason: str) -> None:
    change(folder / "tokenizer_config.json", **settings)
    with pytest.raises(UnsafeFile, match=f"the folder's tokenizer cannot be read: {reason}"):
        pretrained.read(AutoTokenizer, folder, "tokenizer")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": {"height": 10**6, "width": 10**6}}, r"size\.height: got 1000000; wanted 1 to 4096"),
        ({"size": {"height": "64", "width": "64"}}, r"size\.height: got '64'; wanted 1 to 4096"),
        ({"pad_size": {"height": 10**5, "width": 10**5}, "do_pad": True}, r"pad_size\.height: got 100000"),
        ({"size": "big"}, "the folder's image processor cannot be read: "),
        ({"image_processor_type": ["ViTImageProcessor"]}, "the folder's image processor cannot be read: "),
        ({"image_mean": ["a"] * 3}, r"preprocessor_config\.json: ViTImageProcessor fails: "),
        ({"resample": "x"}, r"preprocessor_config\.json: ViTImageProcessor fails: "),
    ],
)
def test_an_image_processor_that_cannot_be_used(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    save(vit(), tmp_path)
    change(tmp_path / "preprocessor_config.json", **settings)
    with pytest.raises(UnsafeFile, match=message):
        ImageProcessor(tmp_path)
