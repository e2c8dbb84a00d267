"""Explanations of models in every format: the score is the source library's, and the attributions are complete."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import timm
import torch
import torchvision
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForObjectDetection,
    AutoModelForSemanticSegmentation,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from archiver.new.kinds import Options
from archiver.verification.explanation_schemas import check
from handlers.explanation.attribution import LEAST, SHARE
from handlers.vision.transform import ImageTransform
from tests import tiny_transformers as folders
from tests.handlers.worker import Worker
from tests.inputs import IMAGES, encoded
from tests.new_models import served
from tests.tiny_exports import Grid, Pixels, as_ultralytics, to_onnx
from tests.tiny_texts import word_pieces

SIDE = 64
IMAGE = IMAGES[0].resize((SIDE, SIDE))  # of the models' own size: each library resizes in its own way
ROW: dict[str, Any] = {"body": encoded(IMAGE), "content-type": b"image/png"}
TEXT = "The train to Zürich leaves from platform nine at noon."
CLASSES = ["cat", "dog", "bird"]
# The library's own score of a class, as it is before softmax or sigmoid.
Score = Callable[[int], float]


LEFT_TO_THE_WEIGHTS = Options()


@dataclass(frozen=True)
class Case:
    """make: writes the weights, and gives the library's scores. grad_cam: whether a layer ends with maps."""

    make: Callable[[Path], tuple[Path, Score]]
    grad_cam: bool = True
    about: Options = LEFT_TO_THE_WEIGHTS
    spec: dict[str, Any] | None = None


def by_auto(kind: Any, maker: Callable[[], folders.Made], read: Callable[[Any, int], Tensor]) -> Any:
    """A Hugging Face folder, and what transformers says of the image."""

    def make(root: Path) -> tuple[Path, Score]:
        folder = folders.save(maker(), root / "folder")
        network, processor = kind.from_pretrained(folder).eval(), AutoImageProcessor.from_pretrained(folder)

        def score(index: int) -> float:
            with torch.no_grad():
                return float(read(network(**processor(images=IMAGE, return_tensors="pt")), index))

        return folder, score

    return make


def logit(outputs: Any, index: int) -> Tensor:
    return outputs.logits[0, index]


def mean_where_found(outputs: Any, index: int) -> Tensor:
    logits = outputs.logits[0]
    return logits[index][logits.argmax(dim=0) == index].mean()


def best_query(outputs: Any, index: int) -> Tensor:
    """Of the detection with the highest score."""
    logits = outputs.logits[0]
    with_nothing = logits.shape[1] > len(folders.LABELS)
    scores = logits.softmax(1)[:, :-1] if with_nothing else logits.sigmoid()
    query, label = divmod(int(scores.argmax()), scores.shape[1])
    assert label == index
    return logits[query, index]


def labelled(root: Path, network: nn.Module, pixels: Tensor) -> Score:
    (root / "labels.txt").write_text("\n".join(CLASSES))

    def score(index: int) -> float:
        with torch.no_grad():
            return float(network(pixels)[0, index])

    return score


def resnet(form: str) -> Callable[[Path], tuple[Path, Score]]:
    def make(root: Path) -> tuple[Path, Score]:
        torch.manual_seed(0)
        network: nn.Module = torchvision.models.resnet18(num_classes=3).eval()
        path = root / f"weights{form}"
        if form == ".pth":
            torch.save(network.state_dict(), path)
        elif form == ".pt":
            torch.jit.trace(network, torch.zeros(1, 3, SIDE, SIDE)).save(str(path))
        else:
            sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
            exported = torch.export.export(network, (torch.zeros(2, 3, SIDE, SIDE),), dynamic_shapes=sizes)
            torch.export.save(exported, path)
        return path, labelled(root, network, ImageTransform(resize=(SIDE, SIDE))(pil_to_tensor(IMAGE))[None])

    return make


def of_timm(root: Path) -> tuple[Path, Score]:
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=3).eval()
    path = root / "weights.pth"
    torch.save(network.state_dict(), path)
    transform = create_transform(**resolve_data_config({}, model=network))
    return path, labelled(root, network, transform(IMAGE)[None])


RESIZED = {"preprocessing": {"resize": [SIDE, SIDE]}}
SQUARE = {"preprocessing": {"resize": [SIDE, SIDE], "crop": None}}
CLASSIFY = Options(task="image-classification")
OPEN = {"options": {"score_threshold": 0.0}}
CASES = {
    "vit": Case(by_auto(AutoModelForImageClassification, folders.vit, logit), grad_cam=False),
    "convnext": Case(by_auto(AutoModelForImageClassification, folders.convnext, logit)),
    "several-labels": Case(by_auto(AutoModelForImageClassification, folders.several_labels, logit), grad_cam=False),
    "segformer": Case(by_auto(AutoModelForSemanticSegmentation, folders.segformer, mean_where_found)),
    "detr": Case(by_auto(AutoModelForObjectDetection, folders.detr, best_query), spec=OPEN),
    "yolos": Case(by_auto(AutoModelForObjectDetection, folders.yolos, best_query), grad_cam=False, spec=OPEN),
    "pth": Case(resnet(".pth"), about=Options(architecture="resnet18"), spec=SQUARE),
    "torchscript": Case(resnet(".pt"), grad_cam=False, about=CLASSIFY, spec=RESIZED),
    "torch-export": Case(resnet(".pt2"), grad_cam=False, about=CLASSIFY, spec=RESIZED),
    "timm": Case(of_timm, about=Options(architecture="timm/test_resnet")),
}


def explained(path: Path, root: Path, about: Options = LEFT_TO_THE_WEIGHTS, **spec: Any) -> Worker:
    served(path, root, about, **spec)
    worker = Worker(root / "store" / f"{root.name}.mar", root / "explained", ".explain")
    worker.handler.explain_limits = replace(worker.handler.explain_limits, max_seconds=600.0)
    return worker


def assert_complete(answer: dict[str, Any]) -> None:
    """Within 5 % of the difference of the two scores, or 0.001."""
    complete = answer["completeness"]
    difference = complete["score"] - complete["baseline"]
    assert abs(complete["sum"] - difference) <= max(SHARE * abs(difference), LEAST)
    assert complete["holds"]
    assert np.asarray(answer["attributions"]).sum() == pytest.approx(complete["sum"], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_scores_are_the_librarys_and_attributions_complete(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path, score = case.make(tmp_path)
    labels = tmp_path / "labels.txt"
    about = replace(case.about, labels=labels) if labels.is_file() else case.about
    worker = explained(path, tmp_path / "model", about, **(case.spec or {}))
    # From an image of one level layer norms make the path so steep that some of these need a thousand steps.
    [answer] = worker.json({**ROW, "baseline": b"blur"})
    assert not check(worker.handler.artifact.task, answer, worker.handler.labels, "the answer")
    assert_complete(answer)
    assert answer["target"]["score"] == pytest.approx(score(answer["target"]["index"]), rel=2e-3, abs=2e-3)
    for method in ("occlusion", "saliency", "grad-cam"):
        [(status, _, body)] = worker.answer([{**ROW, "method": method.encode()}])
        if method == "grad-cam" and not case.grad_cam:
            assert (status, "grad-cam is not for this model" in orjson.loads(body)["message"]) == (422, True)
            continue
        assert status == 200, body
        assert np.abs(orjson.loads(body)["attributions"]).sum() > 0
    [(status, kind, drawn)] = worker.answer([{**ROW, "method": b"saliency", "accept": b"image/png"}])
    assert (status, kind, Image.open(io.BytesIO(drawn)).size) == (200, "image/png", IMAGE.size)


def test_an_onnx_segmenter_is_explained_by_occlusion(tmp_path: Path) -> None:
    network = Pixels(3)
    path = to_onnx(network, tmp_path / "weights.onnx", SIDE, ["logits"])
    (tmp_path / "labels.txt").write_text("sky\nhouse\ntree\n")
    worker = explained(path, tmp_path / "pixels", Options(labels=tmp_path / "labels.txt"), backend="auto")
    [answer] = worker.json(ROW)
    assert answer["method"] == "occlusion"
    with torch.no_grad():
        logits = network(ImageTransform(resize=(SIDE, SIDE))(pil_to_tensor(IMAGE))[None])[0]
    index = answer["target"]["index"]
    wanted = float(logits[index][logits.argmax(dim=0) == index].mean())
    assert answer["target"]["score"] == pytest.approx(wanted, rel=1e-2)
    [(status, _, body)] = worker.answer([{**ROW, "method": b"integrated-gradients"}])
    assert (status, "needs gradients" in orjson.loads(body)["message"]) == (422, True)


def test_a_detector_that_chooses_its_boxes_inside_has_none(tmp_path: Path) -> None:
    path = as_ultralytics(to_onnx(Grid(), tmp_path / "weights.onnx", SIDE, ["output0"]))
    worker = explained(path, tmp_path / "yolo", backend="auto")
    [(status, _, body)] = worker.answer([ROW])
    assert (status, orjson.loads(body)["type"]) == (501, "NotOffered")


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_a_text_classifier_of_transformers(problem: Any, tmp_path: Path) -> None:
    tokenizer = word_pieces()
    names: dict[str, Any] = {
        "id2label": dict(enumerate(CLASSES)),
        "label2id": {label: n for n, label in enumerate(CLASSES)},
    }
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=len(tokenizer), dim=32, hidden_dim=32, n_layers=2, n_heads=2, initializer_range=0.3,
        max_position_embeddings=64, problem_type=problem, **names,
    )  # fmt: skip
    DistilBertForSequenceClassification(config).save_pretrained(tmp_path / "folder")
    tokenizer.save_pretrained(tmp_path / "folder")
    worker = explained(tmp_path / "folder", tmp_path / "topics")
    [answer] = worker.json({"body": TEXT.encode(), "content-type": b"text/plain"})
    complete = answer["completeness"]
    assert complete["holds"]
    weights = [token["weight"] for token in answer["attributions"]]
    assert sum(weights) == pytest.approx(complete["sum"], rel=1e-3, abs=1e-4)
    assert "".join(token["text"] for token in answer["attributions"]) == "".join(TEXT.split())
    network = AutoModelForSequenceClassification.from_pretrained(tmp_path / "folder").eval()
    encoded_text = AutoTokenizer.from_pretrained(tmp_path / "folder")(TEXT, return_tensors="pt")
    with torch.no_grad():
        logits = network(**{name: encoded_text[name] for name in ("input_ids", "attention_mask")}).logits[0]
    assert answer["target"]["index"] == int(logits.argmax())
    assert complete["score"] == pytest.approx(float(logits.max()), rel=1e-3)
