"""Sentences from message catalogues, subwords, and a classifier on them."""

import gettext
import json
import random
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
from train.core.experiment import load
from train.demo.language_id.experiment import excerpt, split, start
from train.demo.language_id.message_catalogues import clean, read_catalogue, sentences
from train.demo.language_id.non_linguistic import non_linguistic_text
from train.text.subwords import as_pretrained, learn_subwords


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
    training, held_out = split(sentences(("de", "fr", "en"), 16))
    assert not {s.message for s in training} & {s.message for s in held_out}
    assert not {s.text.casefold() for s in training} & {s.text.casefold() for s in held_out}
    assert len(held_out) > 100


def test_an_excerpt_starts_at_a_word_and_fits() -> None:
    text = "Où se trouve la gare, s'il vous plaît ?"
    for seed in range(50):
        piece = excerpt(text, 16, random.Random(seed))
        assert len(piece.encode()) <= 16
        assert piece in text
    assert excerpt("short", 16, random.Random(0)) == "short"


def test_subwords_lose_nothing_but_case(tmp_path: Path) -> None:
    subwords = learn_subwords(["Der Zug fährt um acht.", "电车八点开"] * 20, 400, dropout=0.2)
    subwords.model.dropout = None
    tokenizer = as_pretrained(subwords, 32)
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
    assert start("Où est la gare ?", 2) == "O"
    assert start("Où est la gare ?", 8) == "Où est "
    assert start("电车", 2) == "电"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three languages, in seconds; the folder that holds the artifact."""
    folder = tmp_path_factory.mktemp("trained")
    experiment = load("language-id", ["languages=[de, en, ru]", "steps=80", "vocabulary=1500"])
    experiment.run(folder / "language-id")
    return folder


@pytest.mark.slow
def test_three_languages_are_told_apart_in_seconds(trained: Path) -> None:
    description = json.loads((trained / "language-id" / "artifact.json").read_text())
    assert description["labels"] == ["de", "en", "ru", "zxx"]
    metrics = description["metrics"]
    assert metrics["macro F1"] > 0.8
    assert set(metrics["by language"]) == {"de", "en", "ru"}
    assert set(metrics["by language"]["de"]) == {"precision", "recall", "f1-score"}
    assert list(metrics["macro F1 of the first bytes"]) == ["8", "16", "32"]
    assert metrics["recall of texts without words"] > 0.8


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
    for text in ("1234567", "12:30", "19.99 €", "?!", "🚉 7"):
        assert best(text)[0]["label"] == "zxx", text
    assert sum(each["probability"] for each in best("a")) == pytest.approx(1, abs=1e-4)
    answers = worker.answer(
        [{"body": b""}, {"body": b"  \n"}, {"body": b'{"text": ""}', "content-type": b"application/json"}]
    )
    assert [status for status, _, _ in answers] == [400, 422, 422]
