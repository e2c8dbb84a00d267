"""Texts without a word in any language: numbers, dates, prices, addresses, punctuation, emoji."""

from __future__ import annotations

import random

# ISO 639-2 code for content that is not linguistic.
NO_LANGUAGE = "zxx"

PUNCTUATION = ".,;:!?-–—…·*/\\|()[]{}<>=+~^_#@&%$§€£¥'\"`"
EMOJI = "😀😂🙂😍👍👎🙏🔥🎉❤✅❌⭐🚀🚉📷🐍🌍☕⚡"
CURRENCIES = "$€£¥₹₽₺₩₪"


def number(chance: random.Random) -> str:
    """One to nine digits, sometimes with a sign, digit groups or decimals."""
    whole = chance.randrange(10 ** chance.randint(1, 9))
    return chance.choice(
        [
            f"{whole}",
            f"{whole}",
            f"{whole:,}",
            f"{whole:,}".replace(",", "."),
            f"{whole % 10_000}.{chance.randrange(1000)}",
            f"{whole % 10_000},{chance.randrange(100):02}",
            f"-{whole}",
            f"{whole % 101}%",
        ]
    )


def date(chance: random.Random) -> str:
    day, month, year = chance.randint(1, 28), chance.randint(1, 12), chance.randint(1900, 2099)
    return chance.choice(
        [f"{year}-{month:02}-{day:02}", f"{day:02}.{month:02}.{year}", f"{month}/{day}/{year % 100:02}", f"{year}"]
    )


def clock(chance: random.Random) -> str:
    return f"{chance.randrange(24)}:{chance.randrange(60):02}" + chance.choice(["", f":{chance.randrange(60):02}"])


def price(chance: random.Random) -> str:
    return chance.choice(["{0}{1}", "{0} {1}", "{1} {0}", "{1}{0}"]).format(chance.choice(CURRENCIES), number(chance))


def address(chance: random.Random) -> str:
    """A telephone number or an IP address."""
    if chance.random() < 0.5:
        return ".".join(str(chance.randrange(256)) for _ in range(4))
    groups = " ".join(str(chance.randrange(10, 10_000)) for _ in range(chance.randint(2, 4)))
    return f"+{chance.randrange(1, 999)} {groups}"


def punctuation(chance: random.Random) -> str:
    marks = chance.choices(PUNCTUATION, k=chance.randint(1, 6))
    return marks[0] * len(marks) if chance.random() < 0.5 else "".join(marks)


def emoji(chance: random.Random) -> str:
    return "".join(chance.choices(EMOJI, k=chance.randint(1, 4)))


FORMS = (number, number, date, clock, price, address, punctuation, emoji)


def non_linguistic_text(chance: random.Random) -> str:
    """One to four such texts in a row."""
    return " ".join(chance.choice(FORMS)(chance) for _ in range(chance.choice([1, 1, 1, 2, 3, 4])))
