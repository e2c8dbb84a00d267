"""Labelled text in many languages: the translated message catalogues that Django ships."""

from __future__ import annotations

import html
import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import django

MAGIC = 0x950412DE
CONTEXT = "\x04"  # msgctxt EOT msgid
PLURAL = "\x00"  # singular NUL plural
ENGLISH = "en"

TAG = re.compile(r"<[^<>]*>")
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%%|%[a-z]\b|\{\{.*?\}\}|\{[^{}]*\}")
ADDRESS = re.compile(r"\S+://\S*|\S+@\S+")
SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Sentence:
    """message: the original message, shared by all its translations. language: ISO 639-1 code."""

    text: str
    language: str
    message: str


def read_catalogue(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each message of a compiled GNU gettext catalogue: its msgid and its translations, one per plural form.

    Raises ValueError if the file is not a .mo file.
    """
    data = path.read_bytes()
    order = next((o for o in "<>" if struct.unpack_from(f"{o}I", data)[0] == MAGIC), None)
    if order is None:
        raise ValueError(f"{path} is not a compiled message catalogue")
    count, originals, translations = struct.unpack_from(f"{order}III", data, 8)

    def text(table: int, row: int) -> str:
        length, offset = struct.unpack_from(f"{order}II", data, table + 8 * row)
        return data[offset : offset + length].decode()

    for row in range(count):
        msgid = text(originals, row).rpartition(CONTEXT)[2].partition(PLURAL)[0]
        if msgid:  # the empty one is the catalogue's header
            yield msgid, text(translations, row).split(PLURAL)


def clean(text: str) -> str:
    """The words of a message, without placeholders, tags, entities and addresses, separated by single spaces."""
    for pattern in (PLACEHOLDER, TAG, ADDRESS):
        text = pattern.sub(" ", text)
    return SPACE.sub(" ", html.unescape(text)).strip(" \t\"'“”„«»()[]:;,-–—")


def letter_bytes(text: str) -> int:
    """Number of UTF-8 bytes of letters, a measure of content that treats alphabets and ideographs alike."""
    return sum(len(character.encode()) for character in text if character.isalpha())


def sentences(languages: Sequence[str], minimum_letters: int) -> list[Sentence]:
    """Django's messages in `languages`, each text once, in an order that depends only on Django's version.

    Variants (pt_BR, zh_Hant) count as their language. Skips untranslated messages, texts with fewer than
    `minimum_letters` bytes of letters, and texts that occur in the catalogues of several languages.
    """
    owners: defaultdict[str, dict[str, Sentence]] = defaultdict(dict)

    def add(text: str, language: str, msgid: str) -> None:
        cleaned = clean(text)
        if letter_bytes(cleaned) >= minimum_letters:
            owners[cleaned.casefold()].setdefault(language, Sentence(cleaned, language, clean(msgid).casefold()))

    for path in sorted(Path(django.__file__).parent.glob("**/locale/*/LC_MESSAGES/*.mo")):
        language = path.parts[-3].partition("_")[0]
        if language not in languages:
            continue
        for msgid, translations in read_catalogue(path):
            if ENGLISH in languages:
                add(msgid, ENGLISH, msgid)
            for translation in translations:
                if translation != msgid:
                    add(translation, language, msgid)
    return [sentence for owner in owners.values() if len(owner) == 1 for sentence in owner.values()]
