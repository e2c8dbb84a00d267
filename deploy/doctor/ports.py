"""The ports of a server and of its edge: free, ours, or taken."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict

from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding, note, ok, problem
from deploy.ports import EDGE, Ports, holder, is_free


def ports(checkout: Checkout) -> Iterator[Finding]:
    ours = (checkout.state() or {}).get("ports") or {}
    yield from compared(asdict(Ports()), set(ours.values()))


def compared(wanted: Mapping[str, int], ours: Collection[int]) -> Iterator[Finding]:
    """wanted: by name. ours: ports of the running server."""
    taken = {name: port for name, port in wanted.items() if not is_free(port)}
    held = [port for port in taken.values() if port in ours]
    free = [str(port) for name, port in wanted.items() if name not in taken]
    if free:
        yield ok("ports", f"free: {' '.join(free)}")
    if held:
        yield ok("ports", f"held by the running server: {' '.join(map(str, held))}")
    for name, port in taken.items():
        if port in ours:
            continue
        text = f"{port} ({name}) is in use{holder(port)}"
        remedy = "end that program, or serve on other ports: `./bundle serve --port-offset 100`"
        yield note("ports", f"{text}; only --edge needs it", remedy) if name in EDGE else problem("ports", text, remedy)
