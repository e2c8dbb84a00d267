"""How far a server's inputs have drifted from the validation data, as `./bundle deploy status` shows it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from client.exchange import session
from deploy.overview.counters import samples
from deploy.supervision.drift import References, stability_index
from deploy.versions.table import Row
from deploy.versions.target import Target

SHIFTED = 0.2
ENOUGH = 500  # inputs


def found(targets: list[Target], rows: list[Row]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return `psi` and `inputs` since the server was started, by (model, version) and then by feature.

    Empty for servers on other machines and for models without validation data.
    """
    target = next((each for each in targets if each.run and each.store and each.metrics), None)
    if target is None:
        return {}
    counted = counts(str(target.metrics))
    references = References(Path(str(target.store)))
    indices: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        for feature, expected in references.shares(row.archive).items():
            bins = counted.get((row.model, row.version, feature), {})
            numbers = [bins.get(str(number), 0.0) for number in range(len(expected))]
            psi = stability_index(expected, numbers) if sum(numbers) else None
            indices.setdefault((row.model, row.version), {})[feature] = {"psi": psi, "inputs": int(sum(numbers))}
    return indices


def counts(url: str) -> dict[tuple[str, str, str], dict[str, float]]:
    """Map (model, version, feature) to inputs per bin, from TorchServe's metrics; empty if it does not answer."""
    try:
        with session() as own:
            page = own.get(url, timeout=5)
            page.raise_for_status()
    except requests.RequestException:
        return {}
    bins: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for name, labels, value in samples(page.text):
        if name == "DriftBin":
            bins[labels["ModelName"], labels["ModelVersion"], labels["Feature"]][labels["Bin"]] = value
    return bins


def show(indices: dict[tuple[str, str], dict[str, Any]], console: Console) -> None:
    """Print nothing if no model has validation data."""
    if not indices:
        return
    table = Table("model", "version", "feature", "PSI", "inputs", "", box=None)
    table.pad_edge = False
    for (model, version), features in indices.items():
        for feature, each in features.items():
            few = each["inputs"] < ENOUGH  # too few: the index is large by chance
            psi = "-" if few else f"{each['psi']:.3f}"
            verdict = f"wanted {ENOUGH} inputs" if few else "shifted" if each["psi"] > SHIFTED else ""
            table.add_row(model, version, feature, psi, str(each["inputs"]), verdict)
    console.print("\ndistance from the validation data since the server was started (population stability index):")
    console.print(table)
