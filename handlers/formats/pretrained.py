"""Reads a part of a Hugging Face folder by transformers: its configuration, tokenizer or processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handlers.formats.errors import UnsafeFile

MAX_REASON = 200  # characters of the library's own words


def read(auto: Any, folder: Path, what: str) -> Any:
    """The part that one of transformers' Auto classes reads, from the folder alone and without code of its own.

    what: the part's name, for the message. Raises UnsafeFile where the part cannot be read.
    """
    try:
        return auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        # transformers and tokenizers have an error for each kind of broken file, plain Exceptions among them.
        reason = " ".join(str(error).split())[:MAX_REASON] or type(error).__name__
        raise UnsafeFile(f"the folder's {what} cannot be read: {reason}") from error
