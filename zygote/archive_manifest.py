"""The manifest of an unpacked archive."""

from __future__ import annotations

import json


def served(folder: str) -> tuple[str, str]:
    """The model's name and version; "" for both if the manifest lacks them or cannot be read."""
    try:
        with open(f"{folder}/MAR-INF/MANIFEST.json", encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes longer
            model = json.load(file)["model"]
        return str(model["modelName"]), str(model["modelVersion"])
    except (OSError, ValueError, KeyError):
        return "", ""
