"""Reads a part of a Hugging Face folder with transformers: its configuration, tokenizer or processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handlers.formats.errors import UnsafeFile

MAX_REASON = 200  # characters of the library's own message


def read(auto: Any, folder: Path, what: str) -> Any:
    """Read a part with one of transformers' Auto classes, from the folder alone and without its code.

    what: the part's name, for the message. Raises UnsafeFile if the part cannot be read.
    """
    try:
        return auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        # transformers and tokenizers raise a different error for each kind of broken file, even plain Exceptions.
        reason = " ".join(str(error).split())[:MAX_REASON] or type(error).__name__
        raise UnsafeFile(f"the folder's {what} cannot be read: {reason}") from error
