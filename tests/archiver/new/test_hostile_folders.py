"""Folders of models that mean harm: one sentence each, at once, and without a list of a billion names."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.archiver.new.test_odd_files import refused

BERT = {"architectures": ["BertForSequenceClassification"], "model_type": "bert"}
TIMM = {"architecture": "resnet18", "num_classes": 2, "pretrained_cfg": {"input_size": [3, 64, 64]}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**BERT, "num_labels": 10**9}, "num_labels: got 1000000000; wanted 0 to 100000"),
        ({**BERT, "id2label": {str(10**12): "a"}}, "id2label: names class 1000000000000; wanted numbers below 100000"),
        ({**BERT, "id2label": {"9" * 5000: "a"}}, "id2label: names class 9{80};"),
        ({"architectures": ["\x1b[2J" + "x" * 10**6]}, "its architecture \ufffd.2Jx{1,76} is not served"),
        ({**BERT, "attn_implementation": "a/b"}, "names a kernel from a hub"),
        ({**TIMM, "num_classes": 10**9}, "num_classes: got 1000000000; wanted 0 to 100000"),
        ({**TIMM, "architecture": "hf-hub:a/b"}, "'hf-hub:a/b' would be read from elsewhere"),
        ({**TIMM, "model_args": [1]}, r"model_args: got \[1\]; wanted names and values"),
        ({**TIMM, "model_args": {"checkpoint_path": "a.pth"}}, "names another file"),
        ({**TIMM, "pretrained_cfg": {"input_size": "abc"}}, "input_size: got abc, which timm does not write"),
        ({**TIMM, "pretrained_cfg": {"input_size": [3, 10**9, 10**9]}}, r"input_size: got \[3, 1000000000, "),
        ({**TIMM, "pretrained_cfg": {"crop_pct": 1e-300}}, "crop_pct: got 1e-300"),
        ({**TIMM, "pretrained_cfg": {"mean": ["a"] * 3}}, "mean: got "),
        ({**TIMM, "pretrained_cfg": {"interpolation": {"a": 1}}}, "interpolation: got "),
    ],
)
def test_one_sentence_about_a_configuration(config: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    save_file({"w": torch.zeros(1)}, folder / "model.safetensors")
    for name, values in (("config.json", config), ("tokenizer_config.json", {"tokenizer_class": "ByT5Tokenizer"})):
        (folder / name).write_text(json.dumps(values))
    said = refused(folder, tmp_path)
    assert len(said) < 1000
    assert re.search(message, said), said
