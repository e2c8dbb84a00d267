"""Excerpts of sentences as people type them: a few words, in varying letter case, with a number in between."""

from __future__ import annotations

import random
from collections.abc import Iterator

from train.demo.language_id.non_linguistic import NO_LANGUAGE, date, emoji, non_linguistic_text, number

MIN_BYTES = 12  # minimum length of an excerpt, one or two words


def excerpts(texts: dict[str, list[str]], count: int, length: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield `count` pairs of a text, of at most `length` bytes, and its language.

    All languages are equally frequent, however many sentences they have, and so are texts without words.
    """
    labels = [*texts, NO_LANGUAGE]
    for index in range(count):
        chance = random.Random(f"{seed} {index}")
        label = chance.choice(labels)
        text = non_linguistic_text(chance) if label == NO_LANGUAGE else excerpt_of(texts[label], length, chance)
        yield text, label


def excerpt_of(sentences: list[str], length: int, chance: random.Random) -> str:
    """One sentence or several, shortened, sometimes to a few words, in another letter case, or with a number added."""
    text = chance.choice(sentences)
    while len(text.encode()) < length and chance.random() < 0.5:
        text += " " + chance.choice(sentences)
    text = chance.choices([text, text.lower(), text.upper(), text.title()], [70, 20, 5, 5])[0]
    text = cut(text, length if chance.random() < 0.7 else chance.randint(MIN_BYTES, length), chance)
    if chance.random() < 0.15:
        words = text.split(" ")
        words.insert(chance.randint(0, len(words)), chance.choice((number, date, emoji))(chance))
        text = " ".join(words)
    return text


def cut(text: str, length: int, chance: random.Random) -> str:
    """A part of at most `length` bytes, which starts with a word if there are any."""
    data = text.encode()
    if len(data) <= length:
        return text
    start = chance.randrange(len(data) - length + 1)
    space = data.find(b" ", start, start + length // 2)
    start = space + 1 if start and space >= 0 else start
    return data[start : start + length].decode(errors="ignore")


def beginning(text: str, length: int) -> str:
    """The first `length` bytes of a text, but at least one character."""
    return text.encode()[:length].decode(errors="ignore") or text[0]
