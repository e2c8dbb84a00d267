"""Sentences from message catalogues, subwords, and a classifier on them."""

import csv
import gettext
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from transformers import AutoTokenizer

from archiver import archive
from archiver.package import resolve
from archiver.spec import SPECS
from deploy.configuration import PROJECT
from tests.handlers.worker import Worker
from train.core import generated_data
from train.core.experiment import load
from train.core.run import Run
from train.demo.language_id.excerpts import beginning, cut, excerpts
from train.demo.language_id.message_catalogues import clean, read_catalogue, sentences
from train.demo.language_id.non_linguistic import NO_LANGUAGE, non_linguistic_text
from train.demo.language_id.source import LanguageId, split
from train.text.experiment import TextClassification
from train.text.subwords import as_pretrained, learn_subwords, subword_dropout


def test_a_catalogue_is_read_as_gettext_reads_it() -> None:
    """Every message of a real catalogue, against the standard library's reader."""
    path = Path(django.__file__).parent / "contrib/admin/locale/de/LC_MESSAGES/django.mo"
    with path.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    expected = {text for key, text in catalogue.items() if key and key != ("", 0)}
    found = {text for _, translations in read_catalogue(path) for text in translations}
    assert found == expected


def test_a_file_that_is_not_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "x.mo").write_bytes(b"not a catalogue at all")
    with pytest.raises(ValueError, match="not a compiled message catalogue"):
        list(read_catalogue(tmp_path / "x.mo"))


def test_only_words_are_left() -> None:
    text = "“Please enter <b>%(name)s</b> at https://example.com, {{ user }}&nbsp;today.”"
    assert clean(text) == "Please enter at today."


def test_no_message_is_in_both_parts() -> None:
    training, held_out = split(sentences(("de", "fr", "en"), 16), 0.15)
    assert not {s.message for s in training} & {s.message for s in held_out}
    assert not {s.text.casefold() for s in training} & {s.text.casefold() for s in held_out}
    assert len(held_out) > 100


def test_an_excerpt_starts_at_a_word_and_fits() -> None:
    text = "Où se trouve la gare, s'il vous plaît ?"
    for seed in range(50):
        piece = cut(text, 16, random.Random(seed))
        assert len(piece.encode()) <= 16
        assert piece in text
    assert cut("short", 16, random.Random(0)) == "short"


def test_excerpts_are_the_same_again_and_every_language_is_as_frequent() -> None:
    texts = {"de": ["Wo ist der Bahnhof?"], "en": [f"Sentence number {number}" for number in range(90)]}
    drawn = list(excerpts(texts, 600, 32, seed=0))
    assert drawn == list(excerpts(texts, 600, 32, seed=0)) != list(excerpts(texts, 600, 32, seed=1))
    counts = Counter(label for _, label in drawn)
    assert counts.keys() == {"de", "en", NO_LANGUAGE}
    assert min(counts.values()) > 150
    assert all(text.strip() for text, _ in drawn)


def test_the_parts_of_the_data_set(tmp_path: Path) -> None:
    data = LanguageId(languages=("de", "en"), excerpts=50)
    data.write(tmp_path, "all")
    texts = {part: list(csv.DictReader((tmp_path / f"{part}.csv").open())) for part in ("train", "validation", "test")}
    assert len(texts["train"]) == 50
    parts = Counter(row["part"] for row in texts["test"])
    assert parts["sentences"] == parts["first 8 bytes"] == parts["first 32 bytes"]
    assert parts["without words"] == 1000
    assert not {row["text"] for row in texts["validation"]} & {row["text"] for row in texts["test"]}


def test_subwords_lose_nothing_but_case(tmp_path: Path) -> None:
    tokenizer = as_pretrained(learn_subwords(["Der Zug fährt um acht.", "电车八点开"] * 20, 400), 32)
    usual = tokenizer("Der Zug fährt um acht.")["input_ids"]
    with subword_dropout(tokenizer, 0.5):
        others = [tokenizer("Der Zug fährt um acht.")["input_ids"] for _ in range(20)]
    assert any(len(ids) > len(usual) for ids in others)
    assert {tokenizer.decode(ids) for ids in others} == {tokenizer.decode(usual)}
    assert tokenizer("Der Zug fährt um acht.")["input_ids"] == usual
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    for text in ("Der Zug", "Où 🚉 ?", "电车"):
        ids = again(text)["input_ids"]
        assert ids == tokenizer(text)["input_ids"]
        assert str(again.decode(ids)).strip() == text.lower()


def test_texts_without_words_have_no_letter() -> None:
    texts = [non_linguistic_text(random.Random(seed)) for seed in range(2000)]
    assert not [text for text in texts if any(character.isalpha() for character in text)]
    assert all(text.strip() for text in texts)
    assert len(set(texts)) > 1500


def test_a_text_begins_with_whole_characters() -> None:
    assert beginning("Où est la gare ?", 2) == "O"
    assert beginning("Où est la gare ?", 8) == "Où est "
    assert beginning("电车", 2) == "电"


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, monkeypatch_module: pytest.MonkeyPatch) -> Path:
    """Three languages, in seconds; the folder that holds the artifact."""
    folder = tmp_path_factory.mktemp("trained")
    monkeypatch_module.setattr(generated_data, "DATA", folder / "data")
    few = ["data.languages=[de, en, ru]", "data.excerpts=5000", "model.vocabulary=1500"]
    experiment = load("language-id", few)
    assert isinstance(experiment, TextClassification)
    run = Run.create(folder / "runs", experiment)
    experiment.fit(run)
    experiment.test(run)
    experiment.export(run, folder / "language-id")
    # The artifact alone is measured as the run was.
    assert experiment.evaluate(folder / "language-id") == run.recorded("test")["metrics"]
    return folder


@pytest.mark.slow
def test_three_languages_are_told_apart_in_seconds(trained: Path) -> None:
    description = json.loads((trained / "language-id" / "artifact.json").read_text())
    assert description["labels"] == ["de", "en", "ru", "zxx"]
    metrics = description["metrics"]
    assert set(metrics["by class"]) == {"de", "en", "ru", "zxx"}
    parts = metrics["by part"]
    assert parts["sentences"]["macro_f1"] > 0.8
    assert parts["sentences"]["macro_f1"] > parts["first 8 bytes"]["macro_f1"]
    assert parts["without words"]["accuracy"] > 0.8


@pytest.mark.slow
def test_short_mixed_wordless_and_empty_texts_are_served(trained: Path, tmp_path: Path) -> None:
    package = resolve(SPECS / "language-id.yaml", trained)
    worker = Worker(archive.build(package, PROJECT / "handlers", tmp_path / "store").path, tmp_path / "unpacked")

    def best(text: str) -> Any:
        [answer] = worker.json({"body": text.encode()})
        return answer["predictions"]

    for text, language in (("Wo ist der Bahnhof?", "de"), ("Please enter a valid date", "en"), ("Где вокзал?", "ru")):
        assert best(text)[0]["label"] == language
        for other in (text.lower(), text.upper(), text.swapcase()):
            for one, wanted in zip(best(other), best(text), strict=True):
                assert one["probability"] == pytest.approx(wanted["probability"], abs=1e-5)
    wordless = [best(text)[0]["label"] for text in ("1234567", "12:30", "19.99 €", "?!", "🚉 7")]
    assert wordless.count("zxx") >= 4, wordless  # a training of seconds
    assert sum(each["probability"] for each in best("a")) == pytest.approx(1, abs=1e-4)
    answers = worker.answer(
        [{"body": b""}, {"body": b"  \n"}, {"body": b'{"text": ""}', "content-type": b"application/json"}]
    )
    assert [status for status, _, _ in answers] == [400, 422, 422]
