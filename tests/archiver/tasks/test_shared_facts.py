"""Facts that the archiver and the handlers share, and what a build says of an artifact that is not of their form."""

import json
from pathlib import Path

import pytest

import handlers.audio.decoding
import handlers.vision.decoding
from archiver.tasks.limits import AudioLimits, ImageLimits
from archiver.tasks.task import JSON
from archiver.tasks.vision import IMAGES
from handlers.formats.preprocessing.form import faults_of
from tests.archiver.sample_project import SampleProject
from tests.archiver.test_package import problems

DEMO = sorted((Path(__file__).parents[3] / "artifacts/demo").glob("*/artifact.json"))


def test_preprocessing_of_wrong_types_is_refused_with_its_key(project: SampleProject) -> None:
    project.describe(preprocessing={"resize": "x", "std": [0, 1, 1], "seconds": 1})
    text = problems(project, preprocessing={"crop": [10**6, 1]})
    for expected in (
        "preprocessing.resize: wanted a whole number from 1 to 4096, or [height, width]; got 'x'",
        "preprocessing.crop[0]: wanted a whole number from 1 to 4096; got 1000000",
        "preprocessing.std[0]: wanted a number from 1e-06 to 10000; got 0",
        "preprocessing.seconds: unknown key; known keys: resize, crop",
    ):
        assert expected in text


def test_labels_that_are_no_strings_are_refused(project: SampleProject) -> None:
    project.describe(labels=["a", 5, None])
    text = problems(project)
    assert "labels[1]: wanted a valid string; got 5" in text
    assert "labels[2]: wanted a valid string; got None" in text


def test_half_a_character_is_refused(project: SampleProject) -> None:
    project.describe(metrics={"\ud800": 1})
    assert r"cannot be read as JSON: '\ud800' is half of a character" in problems(project)


@pytest.mark.parametrize(
    "file", sorted(Path("artifacts/demo").glob("*/artifact.json")), ids=lambda file: file.parent.name
)
def test_the_demo_s_artifacts_have_the_form(file: Path) -> None:
    described = json.loads(file.read_text())
    assert faults_of(described["task"], described["format"], described["preprocessing"], described["labels"]) == []


def test_limits_and_formats_of_media_are_the_same() -> None:
    assert ImageLimits().max_pixels == handlers.vision.decoding.MAX_PIXELS
    assert set(IMAGES) - {JSON} <= handlers.vision.decoding.MEDIA_TYPES.keys()
    named = {handlers.vision.decoding.MEDIA_TYPES[name] for name in IMAGES if name != JSON}
    assert named == set(handlers.vision.decoding.FORMATS)
    assert AudioLimits().max_seconds == handlers.audio.decoding.MAX_SECONDS
    assert AudioLimits().max_samples == handlers.audio.decoding.MAX_SAMPLES
