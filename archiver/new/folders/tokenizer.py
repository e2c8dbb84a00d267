"""Checks folders with a tokenizer.json but no tokenizer class, which transformers then chooses itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archiver.new.findings import refused
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import TOKENIZER, check_tokenizer, json_of

FILE = "tokenizer.json"
# Has capitals, accents, digits, punctuation and a line break, because tokenizers differ in these.
TEXT = "The Café in Zürich opened at 9:30.\nIt's GOOD, isn't it?"


def check(folder: Path) -> None:
    """Raise SpecError if the folder has no usable tokenizer."""
    try:
        check_tokenizer(folder, {file.name for file in folder.iterdir()})
    except UnsafeFile as error:
        raise refused(folder, str(error)) from None


def difference(folder: Path) -> str:
    """How transformers' tokenizer for the folder differs from tokenizer.json; "" if they agree.

    The class that transformers chooses by the model's type has its own rules, such as lowercasing.
    """
    if not (folder / FILE).is_file() or names_class(folder):
        return ""
    import tokenizers
    import transformers  # seconds

    try:
        own = tokenizers.Tokenizer.from_file(str(folder / FILE))
        own.no_truncation()
        own.no_padding()
        chosen: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        same = own.encode(TEXT).ids == chosen(TEXT)["input_ids"]
    except Exception as error:
        # The libraries raise different errors for an unreadable file.
        raise refused(
            folder, f"its tokenizer cannot be loaded: {(str(error).splitlines() or [''])[0][:200]}"
        ) from error
    if same:
        return ""
    return (
        f"no {TOKENIZER} names the tokenizer's class, and {type(chosen).__name__}, which transformers takes, reads "
        f"texts unlike {FILE}; save it again: AutoTokenizer.from_pretrained(…).save_pretrained(the same folder)"
    )


def names_class(folder: Path) -> bool:
    settings = json_of(folder / TOKENIZER, TOKENIZER) if (folder / TOKENIZER).is_file() else {}
    return isinstance(settings, dict) and bool(settings.get("tokenizer_class"))
