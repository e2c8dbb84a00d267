"""Sentences from message catalogues, subwords, and a classifier on them."""

import gettext
import json
import random
from pathlib import Path

import django
import pytest
from transformers import AutoTokenizer

from train.experiment import load
from train.language_id import excerpt, split
from train.message_catalogues import clean, read_catalogue, sentences
from train.subwords import as_pretrained, learn_subwords


def test_a_catalogue_is_read_as_gettext_reads_it() -> None:
    """Every message of a real catalogue, against the standard library's reader."""
    path = Path(django.__file__).parent / "contrib/admin/locale/de/LC_MESSAGES/django.mo"
    with path.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    expected = {text for key, text in catalogue.items() if key and key != ("", 0)}
    found = {text for _, translations in read_catalogue(path) for text in translations}
    assert found == expected


def test_what_is_no_catalogue(tmp_path: Path) -> None:
    (tmp_path / "x.mo").write_bytes(b"not a catalogue at all")
    with pytest.raises(ValueError, match="no compiled message catalogue"):
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


@pytest.mark.slow
def test_three_languages_are_told_apart_in_seconds(tmp_path: Path) -> None:
    experiment = load("language-id", ["languages=[de, en, ru]", "steps=60", "vocabulary=1500"])
    experiment.run(tmp_path / "language-id")
    description = json.loads((tmp_path / "language-id" / "artifact.json").read_text())
    assert description["labels"] == ["de", "en", "ru"]
    assert description["metrics"]["macro F1"] > 0.8
