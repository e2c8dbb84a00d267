"""Data of one's own: layouts, splits, broken files, batches."""

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from sklearn.model_selection import train_test_split

from handlers.vision.transform import ImageTransform
from tests.train.images import plain_image, write_folders, write_table
from tests.train.vision.test_images import encode
from train.core.config import ExperimentError
from train.core.file_list import SPLITS, Example, FileList
from train.core.labelled_files import FileReader, list_folders, list_table
from train.core.run import Run
from train.vision.classification.batches import EvaluationBatches, ImageData, Images, collate
from train.vision.classification.data import DataSettings
from train.vision.images import SUFFIXES, read_image

TRANSFORM = ImageTransform(resize=(32, 32))


def test_class_folders(tmp_path: Path) -> None:
    write_folders(tmp_path, 3)
    (tmp_path / "red" / "notes.txt").write_text("x")
    (tmp_path / "red" / ".DS_Store").write_text("x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "blue" / "deeper").mkdir()
    plain_image("blue", np.random.default_rng(0)).save(tmp_path / "blue" / "deeper" / "x.JPG", "JPEG")
    listed = list_folders(tmp_path, SUFFIXES)
    assert listed.tasks == {"class": ["blue", "green", "red"]}
    assert Counter(example.labels for example in listed.examples) == {("blue",): 4, ("green",): 3, ("red",): 3}
    assert listed.bad == {"red/notes.txt": f"suffix '.txt'; wanted one of {', '.join(sorted(SUFFIXES))}"}


def test_split_folders_keep_their_splits_and_a_missing_one_is_drawn_from_training(tmp_path: Path) -> None:
    write_folders(tmp_path, 8, ("train", "valid"))
    listed = list_folders(tmp_path, SUFFIXES).divided(validation=0.5, test=0.25, seed=0)
    assert {split: len(listed.of(split)) for split in SPLITS} == {"train": 18, "validation": 24, "test": 6}
    assert all(example.file.startswith("valid/") for example in listed.of("validation"))
    assert all(example.file.startswith("train/") for example in listed.of("test"))


def test_a_stratified_seeded_split() -> None:
    """As many of each class as scikit-learn's stratified split takes, one more or less."""
    sizes = {"a": 200, "b": 40, "c": 10, "d": 1}
    labels = [name for name, count in sizes.items() for _ in range(count)]
    examples = [Example(str(number), (label,)) for number, label in enumerate(labels)]
    listed = FileList({"class": list(sizes)}, examples)
    divided = listed.divided(0.2, 0.1, seed=3)
    assert divided.examples == listed.divided(0.2, 0.1, seed=3).examples
    assert divided.examples != listed.divided(0.2, 0.1, seed=4).examples
    several = [label for label in labels if label != "d"]  # scikit-learn refuses a class of one
    _, expected = train_test_split(several, test_size=0.2, stratify=several, random_state=0)
    found = divided.counts("validation")["class"]
    assert all(abs(found[name] - expected.count(name)) <= 1 for name in "abc")
    assert divided.counts("train")["class"]["d"] == 1
    assert len(divided.examples) == 251


def test_a_table_with_two_tasks(tmp_path: Path) -> None:
    write_table(tmp_path, 2)
    listed = list_table(tmp_path, tmp_path / "labels.csv")
    assert listed.tasks == {"colour": ["blue", "green", "red"], "pattern": ["dots", "stripes"]}
    assert len(listed.examples) == 12
    assert listed.indices(Example("x", ("red", "dots"))) == [2, 0]
    assert list_table(tmp_path, tmp_path / "labels.csv", ["pattern"]).tasks == {"pattern": ["dots", "stripes"]}


def test_bad_rows_of_a_table_are_named(tmp_path: Path) -> None:
    write_table(tmp_path, 1)
    table = tmp_path / "labels.csv"
    rows = table.read_text().splitlines()
    rows += ["gone.jpg,red,dots", f"{rows[1].split(',')[0]},red,dots", "a, b.jpg,red,dots", "a.jpg,red"]
    rows[2] = rows[2].rpartition(",")[0] + ","
    table.write_text("\n".join(rows))
    assert list_table(tmp_path, table).bad == {
        rows[2].split(",")[0]: "line 3: no label for pattern",
        "gone.jpg": "line 8: no such file",
        "line 9": "images/red-dots-0.jpg is listed twice",
        "line 10": "with 4 cells under 3 columns; text with a comma needs quotes",
        "line 11": "with 2 cells under 3 columns; text with a comma needs quotes",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file;class\na.png;b\n", r"single cell, 'file;class'; wanted ',' between cells"),
        ('file,class\n"a.png,b\nc.png,d\n', "line 3: unexpected end of data"),
        ("file,class,class\na.png,b,c\n", "'class' occurs twice"),
    ],
)
def test_a_table_of_another_form(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ExperimentError, match=message):
        list_table(tmp_path, tmp_path / "labels.csv")


def test_numbers_as_labels_are_in_the_order_of_their_value(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        plain_image("red", np.random.default_rng(0)).save(tmp_path / f"{name}.png")
    (tmp_path / "l.csv").write_text("file,age,split\na.png,10,train\nb.png,9,val\nc.png,none,sometimes\n")
    listed = list_table(tmp_path, tmp_path / "l.csv")
    assert listed.tasks == {"age": ["9", "10"]}
    assert [example.split for example in listed.examples] == ["train", "validation"]
    assert listed.bad == {"c.png": "line 4: split 'sometimes'; wanted train, validation or test"}


@pytest.mark.parametrize("as_dict", [False, True])
def test_a_hugging_face_dataset_from_disk(as_dict: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = ["red", "green", "never", "blue"]
    images = [encode(plain_image(name, rng), "PNG") for name in ("red", "green", "blue", "red")]
    features = datasets.Features({"image": datasets.Image(), "kind": datasets.ClassLabel(names=names)})
    rows = {"image": [{"bytes": data, "path": None} for data in images], "kind": [0, 1, 3, -1]}
    whole = datasets.Dataset.from_dict(rows, features)
    (datasets.DatasetDict({"train": whole, "test": whole}) if as_dict else whole).save_to_disk(tmp_path / "d")
    settings = DataSettings(folder=tmp_path / "d")
    listed = settings.listed()
    first = "train" if as_dict else "all"
    assert listed.tasks == {"kind": ["red", "green", "blue"]}
    assert len(listed.examples) == (6 if as_dict else 3)
    assert listed.bad[f"{first}/3"] == "no label for kind"
    assert settings.reader()(f"{first}/1") == images[1]
    assert {example.split for example in listed.examples} == ({"train", "test"} if as_dict else {""})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"folder": "nowhere"}, r"there is no folder .*nowhere"),
        ({"folder": "."}, r"no \.avif, .* files in "),
        ({"folder": ".", "labels": "l.csv"}, r"l.csv does not exist"),
        ({"folder": ".", "labels": "t.csv"}, "t.csv has no column file; its columns are path, kind"),
        ({"folder": ".", "labels": "u.csv", "tasks": ["age"]}, "u.csv has no column age"),
    ],
)
def test_data_that_is_not_there(
    values: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("path,kind\na,b\n")
    (tmp_path / "u.csv").write_text("file,kind\na,b\n")
    with pytest.raises(ExperimentError, match=said):
        DataSettings(**values).listed()


def test_all_that_is_wrong_with_a_split_at_once() -> None:
    examples = [Example("a", ("x",), "train"), Example("b", ("y",), "test"), Example("c", ("z",), "test")]
    with pytest.raises(ExperimentError) as raised:
        FileList({"kind": ["x", "y", "z"]}, examples, {"d": "broken"}).check()
    for said in (
        "no files in the validation split",
        "no training files of class 'y'",
        "training files of class 'z'",
        "left out: d: broken",
    ):
        assert said in str(raised.value)


def test_a_run_keeps_its_split_and_statistics(tmp_path: Path) -> None:
    write_folders(tmp_path / "data", 8)
    (tmp_path / "data" / "red" / "00.jpg").write_bytes(b"")
    run = Run(tmp_path / "run")
    settings = DataSettings(folder=tmp_path / "data", validation_share=0.25, test_share=0.25)
    listed, found = settings.prepare(run, 0, TRANSFORM)
    assert (found["unreadable"], list(listed.bad)) == (1, ["red/00.jpg"])
    assert sum(found["files"].values()) == 23
    # The reference: numpy over the same images.
    pixels = [
        TRANSFORM.geometry(read_image((tmp_path / "data" / e.file).read_bytes())).numpy() / 255
        for e in listed.of("train")
    ]
    np.testing.assert_allclose(found["mean"], np.mean(pixels, (0, 2, 3)), atol=1e-4)
    np.testing.assert_allclose(found["std"], np.std(pixels, (0, 2, 3)), atol=1e-4)
    (tmp_path / "data" / "red" / "01.png").unlink()
    again, _ = settings.prepare(run, 1, TRANSFORM)
    assert again.examples == listed.examples
    with (tmp_path / "run" / "data" / "files.csv").open() as file:
        assert next(csv.reader(file)) == ["split", "file", "group", "class"]


def data_of(root: Path, batch_size: int = 4, **settings: Any) -> ImageData:
    listed = list_folders(root, SUFFIXES).divided(0.25, 0.25, 0)
    return ImageData(listed, DataSettings(folder=root, **settings), TRANSFORM, TRANSFORM.geometry, batch_size, 0)


def test_batches_and_the_machine(tmp_path: Path) -> None:
    data = data_of(write_folders(tmp_path), batch_size=8, workers=1)
    loader = data.train_dataloader()
    assert loader.persistent_workers
    assert loader.pin_memory is torch.cuda.is_available()
    batches = list(loader)
    assert [tuple(batch.images.shape) for batch in batches] == [(8, 3, 32, 32)] * (len(data.listed.of("train")) // 8)
    assert batches[0].images.dtype == torch.uint8
    labels = data.images("train").labels
    assert all(torch.equal(batch.labels, labels[batch.positions]) for batch in batches)
    assert data_of(tmp_path).loading()["num_workers"] == max(1, len(os.sched_getaffinity(0)) - 1)


def test_a_file_lost_during_training_is_named_and_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = data_of(write_folders(tmp_path), batch_size=6, workers=0)
    lost = data.listed.of("train")[0].file
    (tmp_path / lost).unlink()
    batches = list(data.train_dataloader())
    assert sum(batch.lost for batch in batches) >= 1
    assert all(len(batch.images) == 6 for batch in batches)
    assert lost in capsys.readouterr().out


def test_a_file_lost_before_evaluation_is_named_and_left_out(tmp_path: Path) -> None:
    data = data_of(write_folders(tmp_path), batch_size=4, workers=0)
    count = len(data.listed.of("validation"))
    (tmp_path / data.listed.of("validation")[1].file).write_bytes(b"broken")
    batches = list(data.val_dataloader())
    assert sum(batch.lost for batch in batches) == 1
    assert sum(len(batch.images) for batch in batches) == count - 1
    assert 1 not in torch.cat([batch.positions for batch in batches])
    empty = collate([Images(data.listed, data.listed.of("validation"), FileReader(tmp_path), TRANSFORM.geometry)[1]])
    assert (len(empty.images), empty.lost) == (0, 1)


@pytest.mark.parametrize("length", [1, 7, 16, 17, 100])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_share_every_image_once_in_equally_many_batches(length: int, processes: int) -> None:
    shares = [list(EvaluationBatches(length, 8, rank, processes)) for rank in range(processes)]
    assert sorted(index for share in shares for batch in share for index in batch) == list(range(length))
    assert len({len(share) for share in shares}) == 1
    assert all(sum(len(share[number]) for share in shares) <= 8 for number in range(len(shares[0])))
