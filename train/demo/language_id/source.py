"""`data: {source: language-id}`: sentences in many languages, from the message catalogues that Django ships."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from sklearn.model_selection import GroupShuffleSplit

from train.core.file_list import write_table
from train.core.generated_data import GeneratedData
from train.demo.language_id.excerpts import beginning, excerpts
from train.demo.language_id.message_catalogues import Sentence, sentences
from train.demo.language_id.non_linguistic import NO_LANGUAGE, non_linguistic_text

# Languages with enough translated sentences; of those that differ in only a few words (nb and nn, hr and sr and bs, id
# and ms) at most one is included.
LANGUAGES = "ar bg cs da de el en es et fa fi fr he hi hu id it ja ko lt lv nl pl pt ro ru sl sv th tr uk vi zh"
MIN_LETTERS = 16  # minimum UTF-8 bytes of a sentence's letters
TEST_SHARE, VALIDATION_SHARE = 0.15, 0.05
BEGINNINGS = (8, 16, 32)  # the test also uses the first bytes of its sentences
WITHOUT_WORDS = 1000  # texts without words in the test
HEADER = ("text", "label", "part")


class LanguageId(GeneratedData):
    """Training uses excerpts; validation and test use whole sentences of other messages."""

    source: Literal["language-id"] = "language-id"
    languages: tuple[str, ...] = Field(default=tuple(LANGUAGES.split()), min_length=2, description="ISO 639-1")
    excerpts: int = Field(default=64_000, ge=2, description="number of training texts")
    excerpt_bytes: int = Field(default=64, ge=16, description="maximum length in UTF-8 bytes")
    seed: int = 0

    def files(self, training: bool = True) -> dict[str, Any]:
        folder = self.folder("all" if training else "test")
        parts = {part: str(folder / f"{part if training else 'test'}.csv") for part in ("train", "validation", "test")}
        return {**parts, "labels": (*self.languages, NO_LANGUAGE), "group_column": "part"}

    def write(self, folder: Path, part: str) -> None:
        others, test = split(sentences(self.languages, MIN_LETTERS), TEST_SHARE)
        write_table(folder / "test.csv", HEADER, tested(test))
        if part == "all":
            training, validation = split(others, VALIDATION_SHARE)
            write_table(folder / "validation.csv", HEADER, [(s.text, s.language, "sentences") for s in validation])
            by_language: dict[str, list[str]] = defaultdict(list)
            for sentence in training:
                by_language[sentence.language].append(sentence.text)
            drawn = excerpts(by_language, self.excerpts, self.excerpt_bytes, self.seed)
            write_table(folder / "train.csv", HEADER, [(text, label, "excerpts") for text, label in drawn])


def tested(found: Sequence[Sentence]) -> list[tuple[str, str, str]]:
    """The test's rows: the sentences, their beginnings, and texts without words."""
    rows = [(sentence.text, sentence.language, "sentences") for sentence in found]
    for length in BEGINNINGS:
        rows += [(beginning(s.text, length), s.language, f"first {length} bytes") for s in found]
    chance = random.Random("held out")
    return rows + [(non_linguistic_text(chance), NO_LANGUAGE, "without words") for _ in range(WITHOUT_WORDS)]


def split(found: Sequence[Sentence], share: float) -> tuple[list[Sentence], list[Sentence]]:
    """(remaining sentences, held-out sentences), with no message in both in any language; the same for every seed."""
    groups = [sentence.message for sentence in found]
    left, taken = next(GroupShuffleSplit(1, test_size=share, random_state=0).split(found, groups=groups))
    return [found[i] for i in left], [found[i] for i in taken]
