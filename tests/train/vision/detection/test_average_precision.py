"""Mean average precision equals pycocotools' own evaluation, on random predictions and where it is easily wrong."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor
from torch.multiprocessing.spawn import spawn
from torchmetrics.detection import MeanAveragePrecision

from handlers.vision import instance_segmentation
from train.vision.detection.average_precision import MASK_THRESHOLD, AveragePrecision, Kind, Precision

LABELS = ["__background__", "a", "b", "c"]
SIDE = 64
Items = list[dict[str, Tensor]]


def objects(rng: np.random.Generator, count: int, labels: int = 3, grid: int = 1) -> dict[str, Tensor]:
    """Boxes with masks of ellipses inside; grid: sides and corners are multiples of it, so that overlaps tie."""
    corners = rng.integers(0, SIDE // 2 // grid, (count, 2)) * grid
    sides = rng.integers(max(1, 4 // grid), SIDE // 2 // grid, (count, 2)) * grid
    boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    masks = [
        ((x - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1)) ** 2 <= 0.25
        for x1, y1, x2, y2 in boxes
    ]
    return {
        "boxes": torch.from_numpy(boxes),
        "labels": torch.from_numpy(rng.integers(1, labels + 1, count)),
        "masks": torch.from_numpy(np.array(masks, dtype=np.uint8).reshape(-1, SIDE, SIDE)),
    }


def detections(
    rng: np.random.Generator, truth: dict[str, Tensor], extra: int, scores: int = 10**6
) -> dict[str, Tensor]:
    """Some of the truth, moved a little or not at all, and some that is wrong; scores: how many different ones."""
    kept = torch.from_numpy(rng.random(len(truth["labels"])) < 0.8)
    shift = int(rng.integers(0, 3))
    near = {
        "boxes": truth["boxes"][kept] + shift,
        "labels": truth["labels"][kept],
        "masks": truth["masks"][kept].roll((shift, shift), (1, 2)),
    }
    wrong = objects(rng, extra)
    found = {name: torch.cat([near[name], wrong[name]]) for name in near}
    drawn = rng.integers(0, scores, len(found["labels"])) / scores
    return {**found, "masks": found["masks"][:, None].float(), "scores": torch.from_numpy(drawn).float()}


def of_truth(item: dict[str, Tensor], crowds: Tensor | None = None) -> dict[str, Tensor]:
    count = len(item["labels"])
    return {
        **item,
        "iscrowd": torch.zeros(count, dtype=torch.int64) if crowds is None else crowds,
        "area": item["masks"].flatten(1).sum(1).float(),
    }


def directly(found: Items, truth: Items, kind: Kind) -> dict[str, Any]:
    """The same through pycocotools alone: files' contents in, its table out."""

    def run_lengths(mask: Tensor) -> dict[str, Any]:
        return coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))

    def xywh(box: Tensor) -> list[float]:
        x1, y1, x2, y2 = box.double().tolist()
        return [x1, y1, x2 - x1, y2 - y1]

    annotations = [
        {
            "image_id": number,
            "category_id": int(item["labels"][k]),
            "bbox": xywh(item["boxes"][k]),
            "area": float(item["area"][k]),
            "iscrowd": int(item["iscrowd"][k]),
            "segmentation": run_lengths(item["masks"][k]),
        }
        for number, item in enumerate(truth)
        for k in range(len(item["labels"]))
    ]
    results: list[dict[str, Any]] = [
        {
            "image_id": number,
            "category_id": int(item["labels"][k]),
            "score": float(item["scores"][k]),
            **(
                {"bbox": xywh(item["boxes"][k])}
                if kind == "bbox"
                else {"segmentation": run_lengths(item["masks"][k, 0])}
            ),
        }
        for number, item in enumerate(found)
        for k in range(len(item["labels"]))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "info": {},
            "images": [{"id": n, "height": SIDE, "width": SIDE} for n in range(len(truth))],
            "annotations": [{"id": n + 1, **entry} for n, entry in enumerate(annotations)],
            "categories": [{"id": n, "name": name} for n, name in enumerate(LABELS) if n],
        }
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    table = evaluation.eval["precision"][:, :, :, 0, -1]
    by_class = {k + 1: table[:, :, k] for k in range(len(LABELS) - 1)}
    return {
        "stats": evaluation.stats,
        "by class": {k: values[values > -1].mean() for k, values in by_class.items() if (values > -1).any()},
    }


def measured(found: Items, truth: Items, batch: int = 3) -> dict[Kind, Precision]:
    metric = AveragePrecision(masks=True)
    for start in range(0, len(truth), batch):
        metric.update(found[start : start + batch], truth[start : start + batch])
    return metric.compute()


def assert_equal(found: Items, truth: Items) -> None:
    computed = measured(found, truth)
    for kind in ("bbox", "segm"):
        wanted = directly(found, truth, kind)
        got = computed[kind]
        np.testing.assert_allclose([got.mean, got.at_50, got.at_75], wanted["stats"][:3], atol=1e-6, rtol=0)
        assert got.by_class.keys() == wanted["by class"].keys()
        for label, value in wanted["by class"].items():
            assert got.by_class[label] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_random_predictions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = [of_truth(objects(rng, int(rng.integers(1, 7)))) for _ in range(12)]
    found = [detections(rng, item, int(rng.integers(0, 6))) for item in truth]
    assert_equal(found, truth)


def test_empty_images_and_images_without_a_detection() -> None:
    """A detection where nothing is must count against the model, for masks as for boxes."""
    rng = np.random.default_rng(0)
    truth = [of_truth(objects(rng, count)) for count in (3, 0, 2, 0, 4, 0)]
    found = [detections(rng, item, extra) for item, extra in zip(truth, (2, 5, 0, 0, 1, 7), strict=True)]
    found[2] = {name: values[:0] for name, values in found[2].items()}
    assert_equal(found, truth)
    without = measured(
        [f for f, t in zip(found, truth, strict=True) if len(t["labels"])], [t for t in truth if len(t["labels"])]
    )
    assert measured(found, truth)["segm"].mean < without["segm"].mean


def test_crowds_forgive_what_is_found_in_them() -> None:
    rng = np.random.default_rng(1)
    truth = [objects(rng, 5) for _ in range(8)]
    crowds = [of_truth(item, torch.tensor([1, 0, 0, 1, 0])) for item in truth]
    found = [detections(rng, item, 4) for item in truth]
    assert_equal(found, crowds)
    assert measured(found, crowds)["bbox"].mean != measured(found, [of_truth(item) for item in truth])["bbox"].mean


def test_ties_of_scores_and_of_overlaps() -> None:
    """Three different scores in all; overlaps that fall exactly on thresholds, such as 12 / 20."""
    rng = np.random.default_rng(2)
    truth = [of_truth(objects(rng, 6, grid=4)) for _ in range(10)]
    found = [detections(rng, item, 6, scores=3) for item in truth]
    assert_equal(found, truth)


def test_a_class_that_is_only_true_or_only_predicted() -> None:
    rng = np.random.default_rng(3)
    truth = [of_truth(objects(rng, 3, labels=2)) for _ in range(5)]
    found = [detections(rng, item, 6) for item in truth]
    for item in found:
        item["labels"][item["labels"] == 1] = 3
    assert_equal(found, truth)
    computed = measured(found, truth)["bbox"]
    assert computed.by_class[1] == 0.0
    assert 3 not in computed.by_class
    assert computed.to_dict(LABELS)["mAP per class"]["c"] is None


def test_an_overlap_of_six_tenths_matches_at_six_tenths() -> None:
    """torchmetrics' default thresholds come from float32, where 0.6 is 0.60000002, and 0.7 and 0.1 are as unlucky."""
    truth = {
        "boxes": torch.tensor([[0.0, 0, 10, 10]]),
        "labels": torch.tensor([1]),
        "masks": torch.zeros(1, SIDE, SIDE),
    }
    truth["masks"][:, :10, :10] = 1
    truth["masks"] = truth["masks"].to(torch.uint8)
    found = {**truth, "boxes": torch.tensor([[0.0, 0, 10, 6]]), "scores": torch.tensor([0.9])}
    found["masks"] = truth["masks"][:, None].float()
    assert_equal([found], [of_truth(truth)])
    assert measured([found], [of_truth(truth)])["bbox"].mean == pytest.approx(0.3)
    default = MeanAveragePrecision()
    default.update([found], [truth])
    assert default.compute()["map"].item() == pytest.approx(0.2)


def test_masks_are_cut_where_the_server_cuts_them() -> None:
    assert MASK_THRESHOLD == instance_segmentation.MASK_THRESHOLD


def items(seed: int) -> tuple[Items, Items]:
    rng = np.random.default_rng(seed)
    truth = [of_truth(objects(rng, int(count))) for count in rng.integers(0, 5, 8)]
    return [detections(rng, item, 3) for item in truth], truth


def half(rank: int, folder: str) -> None:
    """One of two processes, which sees every second image."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found, truth = items(7)
    computed = measured(found[rank::2], truth[rank::2])
    Path(folder, str(rank)).write_text(json.dumps([computed["bbox"].mean, computed["segm"].mean]))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_measure_what_one_does(tmp_path: Path) -> None:
    spawn(half, (str(tmp_path),), nprocs=2)
    alone = measured(*items(7))
    for rank in "01":
        got = json.loads((tmp_path / rank).read_text())
        assert got == pytest.approx([alone["bbox"].mean, alone["segm"].mean], abs=1e-6)
