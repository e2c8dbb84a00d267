"""Generated data sets: `data: {source: NAME}`."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from train.core.config import StrictModel

DATA = Path(__file__).parents[2] / "data"
# source → its configuration class, imported only when needed.
SOURCES = {
    "language-id": "train.demo.language_id.source:LanguageId",
    "shapes": "train.demo.shapes.source:Shapes",
    "spoken-digits": "train.demo.spoken_digits.source:SpokenDigits",
}


class GeneratedData(StrictModel):
    """A data set that is written to a folder when it is first needed. Each configuration has its own folder."""

    source: str

    def files(self, training: bool = True) -> dict[str, Any]:
        """Generate the data set, and return the configuration for it that a user would write for their own files.

        training: False to generate only the test data; it then stands in for the other parts as well.
        """
        raise TypeError(f"{type(self).__name__} does not define files(training)")

    def write(self, folder: Path, part: str) -> None:
        """Write one part of the data set into an empty folder."""
        raise TypeError(f"{type(self).__name__} does not define write(folder, part)")

    def folder(self, part: str) -> Path:
        """The folder of one part, generated if it does not exist. It is written completely or not at all."""
        text = json.dumps([self.model_dump(mode="json", exclude={"workers"}), part], sort_keys=True)
        folder = DATA / f"{self.source}-{part}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        if not folder.is_dir():
            DATA.mkdir(exist_ok=True)
            partial = Path(mkdtemp(prefix=".partial-", dir=DATA))
            try:
                self.write(partial, part)
                partial.chmod(0o755)
                partial.rename(folder)
            except OSError:
                if not folder.is_dir():  # no other process has generated it meanwhile
                    raise
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return folder


def by_source(values: Any, files: Callable[[Any], Any]) -> Any:
    """A validator: {"source": NAME, …} becomes that data set's configuration; `files` validates anything else."""
    if isinstance(values, GeneratedData):
        return values
    if not isinstance(values, dict) or "source" not in values:
        return files(values)
    if values["source"] not in SOURCES:
        raise ValueError(f"source is {values['source']!r}; wanted one of {', '.join(SOURCES)}, or files of your own")
    module, _, name = SOURCES[values["source"]].partition(":")
    return getattr(import_module(module), name).model_validate(values)
