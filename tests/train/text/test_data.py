"""Labelled texts from every kind of file, bad rows named, splits that hold their promises."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from train.core.config import ExperimentError
from train.text.data import Example, TextData, Texts, split

ROWS = [{"text": f"text {i} of class {'abc'[i % 3]}", "label": "abc"[i % 3]} for i in range(60)]


def read(train: Path, **options: Any) -> Texts:
    return TextData.model_validate({"train": str(train), **options}).read(seed=0)


def all_of(texts: Texts) -> list[Example]:
    return [*texts.train, *texts.validation, *texts.test]


@pytest.fixture(params=["csv", "tsv", "jsonl", "parquet", "folder"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    dataset = Dataset.from_list(ROWS)
    path = tmp_path / f"rows.{request.param}"
    match request.param:
        case "csv":
            dataset.to_csv(path)
        case "tsv":
            dataset.to_csv(path, sep="\t")
        case "jsonl":
            dataset.to_json(path)
        case "parquet":
            dataset.to_parquet(path)
        case "folder":
            dataset.save_to_disk(path)
    return path


def test_every_kind_of_file_gives_the_same(source: Path) -> None:
    texts = read(source)
    assert texts.labels == ["a", "b", "c"]
    assert sorted((e.text, e.labels[0]) for e in all_of(texts)) == sorted((r["text"], r["label"]) for r in ROWS)
    assert (len(texts.train), len(texts.validation), len(texts.test)) == (48, 6, 6)
    for part in (texts.validation, texts.test):
        assert set(Counter(example.labels for example in part).values()) == {2}
    assert read(source) == texts


def test_another_seed_splits_otherwise(source: Path) -> None:
    data = TextData(train=source)
    assert {e.text for e in data.read(0).test} != {e.text for e in data.read(1).test}


def test_bad_rows_are_named_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    bad = [{"text": "", "label": "a"}, {"text": None, "label": "a"}, {"text": "x"}, {"text": "y", "label": " "}]
    bad += [{"text": "z", "label": "d"}]
    path.write_text("\n".join(json.dumps(row) for row in [*bad, *ROWS]), encoding="utf-8")
    texts = read(path, labels=["c", "b", "a"])
    assert len(all_of(texts)) == len(ROWS)
    assert texts.labels == ["c", "b", "a"]
    assert texts.left_out == {"without text": 2, "without label": 2, "with the unknown label 'd'": 1}
    assert texts.notes == [
        "train data: 5 of 65 rows are left out: 2 without text (row 1, 2); 2 without label (row 3, 4); "
        "1 with the unknown label 'd' (row 5)"
    ]


def test_a_text_that_says_na_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "NA,a\nnull,b\n" + "".join(f"{r['text']},{r['label']}\n" for r in ROWS))
    assert {"NA", "null"} <= {example.text for example in all_of(read(path))}


def test_cells_are_text_as_they_are_written(tmp_path: Path) -> None:
    """Codes and numbers as labels: pandas would make 42 of 0042, one label of 01 and 1, and 100000.0 of 1E5."""
    labels = ["0042", "42", "1E5", "1.0", "01", "1", "True", "NA", "nan", "2024-01-01"]
    path = tmp_path / "codes.csv"
    path.write_text("\ufefftext,label\r\n" + "".join(f'"a, b {n}",{label}\r\n' for n in range(9) for label in labels))
    texts = read(path)
    assert texts.labels == sorted(labels)
    assert {example.text for example in all_of(texts)} == {f"a, b {n}" for n in range(9)}


@pytest.mark.parametrize("form", ["rows.json", "rows.jsonl", "folder of JSON", "folder of CSV"])
def test_nothing_is_made_of_what_looks_like_something(form: str, tmp_path: Path) -> None:
    """`datasets` would make a time of a column of dates, and pandas a number of each code."""
    labels = ["2024-01-01", "2024-01-02", "0042", "42", "1E5"][: 2 if "JSON" in form else 5]
    rows = [{"text": f"2024-05-{number + 1:02}", "label": label} for number in range(9) for label in labels]
    path = tmp_path / form
    lines = "\n".join(map(json.dumps, rows))
    if form.startswith("rows"):
        path.write_text(json.dumps(rows) if form == "rows.json" else lines)
    else:
        path.mkdir()
        table = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows)
        for split in ("train", "test"):
            (path / f"{split}.{'jsonl' if 'JSON' in form else 'csv'}").write_text(lines if "JSON" in form else table)
    texts = read(path)
    assert texts.labels == sorted(labels)
    assert {example.text for example in all_of(texts)} == {row["text"] for row in rows}


def test_numbers_in_json_are_text_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    labels = ["1", "1.0", '"1e5"', "12345678901234567890", "12345678901234567891", '"0042"']
    path.write_text("".join(f'{{"text": "t{number}", "label": {x}}}\n' for number in range(9) for x in labels))
    assert read(path).labels == sorted(label.strip('"') for label in labels)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "x", "text": "y", "label": "a"}', "line 3: the key 'text' occurs twice"),
        ('{"text": "x", "label": NaN}', r"1 without label \(row 3\)"),
        ('{"text": "x", "label": {"name": "a"}}', r"1 without label \(row 3\)"),
        ('{"text": {"de": "x"}, "label": "a"}', r"1 without text \(row 3\)"),
        ('{"text": ["x", "y"], "label": "a"}', r"1 with a list instead of text \(row 3\)"),
        ('{"text": "x", "label": ["a", "b"]}', r"1 without exactly one label \(row 3\)"),
    ],
)
def test_what_is_not_a_text_in_json_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "label": "a"}\n{"text": "b", "label": "b"}\n' + line + "\n")
    with pytest.raises(ExperimentError, match=message):
        read(path)


def test_bytes_are_not_taken_for_a_text(tmp_path: Path) -> None:
    Dataset.from_dict({"text": [b"x", b"y"], "label": ["a", "b"]}).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ExperimentError, match="2 with bytes instead of text"):
        read(tmp_path / "rows.parquet")


def test_a_long_text_and_another_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text;label\n" + "".join(f"{'long, ' * 30_000}{n};{'ab'[n % 2]}\n" for n in range(20)))
    assert {len(example.text) for example in all_of(read(path, delimiter=";"))} == {180_001, 180_002}


def test_a_comma_that_is_not_quoted_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = [f"good {number},{'ab'[number % 2]}" for number in range(40)]
    path.write_text("\n".join(["text,label", *rows[:3], "Well, it works,a", "no label", *rows[3:]]) + "\n")
    texts = read(path)
    assert texts.left_out == {"with 3 cells under 2 columns": 1, "with 1 cells under 2 columns": 1}
    assert "with 3 cells under 2 columns (row 4)" in texts.notes[0]
    assert {example.text for example in all_of(texts)} == {f"good {number}" for number in range(40)}


def test_groups_stay_together(tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": "ab"[i % 2], "author": f"author {i // 4}"} for i in range(80)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    texts = read(path, group_column="author", test_share=0.2)
    parts = [{example.group for example in part} for part in (texts.train, texts.validation, texts.test)]
    assert sum(map(len, parts)) == 20 == len(set.union(*parts))
    assert len(parts[2]) == 4


def test_a_file_of_its_own_for_each_part(tmp_path: Path) -> None:
    for name, rows in (
        ("train", ROWS[:40]),
        ("validation", ROWS[40:50]),
        ("test", [*ROWS[50:], {"text": "?", "label": "d"}]),
    ):
        Dataset.from_list(rows).to_csv(tmp_path / f"{name}.csv")
    texts = read(tmp_path / "train.csv", validation=str(tmp_path / "validation.csv"), test=str(tmp_path / "test.csv"))
    assert [e.text for e in texts.train] == [r["text"] for r in ROWS[:40]]
    assert [e.text for e in texts.test] == [r["text"] for r in ROWS[50:]]
    assert texts.left_out == {"with the unknown label 'd'": 1}


def test_splits_and_class_names_of_a_dataset(tmp_path: Path) -> None:
    features = Features({"review": Value("string"), "stars": ClassLabel(names=["bad", "good"])})
    parts = {
        "train": {"review": [f"r{i}" for i in range(20)], "stars": [i % 2 for i in range(20)]},
        "test": {"review": ["fine", "no label"], "stars": [1, -1]},
    }
    DatasetDict({n: Dataset.from_dict(p, features=features) for n, p in parts.items()}).save_to_disk(tmp_path / "d")
    texts = read(tmp_path / "d", text_column="review", label_column="stars")
    assert texts.labels == ["bad", "good"]
    assert texts.test == [Example("fine", ("good",))]
    assert len(texts.validation) == 2
    assert texts.left_out == {"without label": 1}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_several_labels(tmp_path: Path, form: str) -> None:
    labels = [["a"], ["a", "b"], [], ["c", "b"]]
    path = tmp_path / f"rows.{form}"
    if form == "csv":
        path.write_text("text,label\n" + "".join(f"t{i},{'|'.join(labels[i % 4])}\n" for i in range(40)))
    else:
        path.write_text("\n".join(json.dumps({"text": f"t{i}", "label": labels[i % 4]}) for i in range(40)))
    texts = read(path, multi_label=True, label_separator="|" if form == "csv" else None)
    assert texts.labels == ["a", "b", "c"]
    assert all(list(e.labels) == labels[int(e.text[1:]) % 4] for e in all_of(texts))


def test_a_class_with_one_text_does_not_stop_a_split() -> None:
    examples = [Example(str(i), ("a" if i % 2 else "b",)) for i in range(30)] + [Example("x", ("rare",))]
    left, taken = split(examples, 0.2, 0, "test")
    assert sorted(e.text for e in [*left, *taken]) == sorted(e.text for e in examples)
    counts = Counter(e.labels[0] for e in taken if e.labels != ("rare",))
    assert abs(counts["a"] - counts["b"]) <= 1
