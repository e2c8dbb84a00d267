"""Files that somebody else put into a folder of data: links, pipes, devices, names, sizes."""

import json
import os
from pathlib import Path

import pytest
from datasets import Dataset

from train.core.config import ExperimentError
from train.core.data_file import check_saved, inside, read_bytes
from train.core.data_problems import MAX_KINDS, OTHERS, DataProblems
from train.core.file_list import MAX_CLASSES, Example, FileList, label_problem
from train.core.labelled_files import FileReader, list_folders, natural

OUT = "leads out of the data's folder"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a file, and a file outside of it."""
    (tmp_path / "outside.png").write_bytes(b"outside")
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / "in.png").write_bytes(b"inside")
    return tmp_path / "data"


@pytest.mark.parametrize(
    "name", ["../outside.png", "a/../../outside.png", "/dev/zero", "/etc/hostname", "a/link", ".."]
)
def test_nothing_outside_of_the_folder_is_read(name: str, data: Path) -> None:
    (data / "a" / "link").symlink_to("../../outside.png")
    with pytest.raises(OSError, match=OUT):
        FileReader(data)(name)


def test_a_folder_and_its_files_may_be_links(data: Path) -> None:
    (data / "a" / "link.png").symlink_to("in.png")
    (data.parent / "same").symlink_to("data")
    assert FileReader(data.parent / "same")("a/link.png") == b"inside"
    assert inside(data, "a/../a/in.png") == data / "a" / "in.png"


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "gone"])
def test_a_name_that_no_file_has(name: str, data: Path) -> None:
    with pytest.raises(OSError, match=r"no such file|No such file"):
        FileReader(data)(name)


def test_what_never_ends_or_is_too_large_is_not_read(data: Path) -> None:
    os.mkfifo(data / "pipe")
    with (data / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    for name, why in {"pipe": "it is a pipe", "sparse": "it has 1099511627776 bytes", "a": "it is a folder"}.items():
        with pytest.raises(OSError, match=why):
            FileReader(data)(name)
    with pytest.raises(OSError, match="it is a device"):
        read_bytes(Path("/dev/zero"))
    assert read_bytes(Path("/proc/self/status")) == b""  # regular and of no size; others of the kernel's never end


def test_a_folder_of_classes_with_odd_entries(data: Path) -> None:
    (data / "b").mkdir()
    (data / "b" / "good.png").touch()
    (data / "a" / "out.png").symlink_to("../../outside.png")
    (data / "a" / "dangling.png").symlink_to("gone.png")
    (data / "a" / "up").symlink_to("..")
    (data / "a" / "circle.png").symlink_to("circle.png")
    (data / "loop").symlink_to(".")
    (data / "red\x1b[31m").mkdir()
    os.mkfifo(data / "a" / "pipe.png")
    (data / "a" / os.fsdecode(b"\xff.png")).touch()
    found = list_folders(data, {".png"})
    assert [example.file for example in found.examples] == ["a/in.png", "b/good.png"]
    assert found.bad == {
        "loop": "is a link to a folder, which is not followed",
        "a/up": "is a link to a folder, which is not followed",
        "a/\ufffd.png": "its name is not UTF-8; rename it",
        "a/circle.png": "Too many levels of symbolic links",
        "a/dangling.png": "no such file",
        "a/out.png": f"{OUT}; copy the file into it",
        "a/pipe.png": "it is a pipe, not a file",
        "red\ufffd[31m": "the folder's name contains the control character '\\x1b'",
    }


def test_folders_deeper_than_a_path_can_be(data: Path) -> None:
    before = Path.cwd()
    try:
        os.chdir(data / "a")
        for _ in range(30):
            os.mkdir("x" * 200)  # noqa: PTH102 - its path is too long
            os.chdir("x" * 200)
    finally:
        os.chdir(before)
    found = list_folders(data, {".png"})
    assert [example.file for example in found.examples] == ["a/in.png"]
    assert list(found.bad.values()) == ["File name too long"]


def test_names_of_classes() -> None:
    for label in ("0042", "naïve", "\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645", "👩\u200d🚒", "a\u00a0b"):
        assert not label_problem(label)
    for label in ("a\nb", "a\0", "\x1b[31m", "\ud800", "a\u2028b"):
        assert label_problem(label).startswith("contains the control character")
    assert label_problem("x" * 1001) == "has 1001 characters; wanted 1000 at most"


def test_numbers_of_any_length_are_sorted_by_value() -> None:
    labels = ["b", "10", "9" * 5_000, "٣", "2", "1" + "0" * 4_999, "02", "a", "²"]
    wanted = ["02", "2", "10", "1" + "0" * 4_999, "9" * 5_000, "a", "b", "²", "٣"]
    assert sorted(labels, key=natural) == wanted


@pytest.mark.timeout(20)
def test_many_classes_are_counted_in_no_time_and_too_many_refused() -> None:
    """Each was looked up in a list of all, and counted again for each class."""
    names = [f"class {number}" for number in range(MAX_CLASSES)]
    examples = [
        Example(str(number), (name,), split) for number, name in enumerate(names) for split in ("train", "validation")
    ]
    listed = FileList({"class": names}, examples)
    listed.check()
    assert [listed.indices(example)[0] for example in examples[::2]] == list(range(MAX_CLASSES))
    with pytest.raises(ExperimentError, match=f"class: {MAX_CLASSES + 1} classes; wanted {MAX_CLASSES} at most"):
        FileList({"class": [*names, "one more"]}, [*examples, Example("x", ("one more",), "train")]).check()
    with pytest.raises(ExperimentError) as caught:
        FileList({"class": names}, examples[:10]).check()
    assert len(str(caught.value).splitlines()) < 20


def test_a_damaged_list_of_a_run(tmp_path: Path) -> None:
    listed = FileList(
        {"class": ["a", "b"]}, [Example("1.png", ("a",), "train"), Example("2.png", ("b",), "validation")]
    )
    for name, content in {"data.json": "{", "files.csv": "split\nx\n", "unreadable.csv": "a\nb\n"}.items():
        listed.write(tmp_path)
        assert FileList.read(tmp_path)[0].examples == listed.examples
        (tmp_path / name).write_text(content)
        with pytest.raises(ExperimentError, match="is damaged"):
            FileList.read(tmp_path)


def test_problems_are_of_bounded_number_and_length() -> None:
    problems = DataProblems()
    for number in range(10_000):
        problems.add(f"category {number} is not in the file", "\x1b[31m" + "x" * 1_000)
    assert len(problems.counts) == MAX_KINDS + 1
    assert problems.counts[OTHERS] == 10_000 - MAX_KINDS
    assert len(problems) == 10_000
    assert len(str(problems)) < 100_000
    assert "\x1b" not in str(problems)


def test_a_saved_dataset_names_files_of_its_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    Dataset.from_dict({"text": ["a"]}).save_to_disk(str(folder))
    check_saved(folder)
    state = json.loads((folder / "state.json").read_text())
    name = state["_data_files"][0]["filename"]
    (tmp_path / "outside.arrow").write_bytes((folder / name).read_bytes())
    for outside in ("../outside.arrow", str(tmp_path / "outside.arrow")):
        (folder / "state.json").write_text(json.dumps({**state, "_data_files": [{"filename": outside}]}))
        with pytest.raises(OSError, match=OUT):
            check_saved(folder)
    for broken in ("{", "[]", '{"_data_files": 1}', '{"_data_files": [1]}', "[" * 100_000):
        (folder / "state.json").write_text(broken)
        with pytest.raises(ValueError, match=r"state\.json|Expecting|nested"):
            check_saved(folder)
    (tmp_path / "other").mkdir()
    (folder / "dataset_dict.json").write_text('{"splits": ["../other"]}')
    with pytest.raises(OSError, match=OUT):
        check_saved(folder)
