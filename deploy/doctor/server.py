"""The run state: whether a server of this checkout is up, and whether all its models are."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding, note, ok, problem

PATIENCE = 5.0


def server(checkout: Checkout) -> Iterator[Finding]:
    try:
        state = checkout.state()
    except ValueError:
        yield problem("server", f"{checkout.run / 'server.json'} is not JSON", "`./bundle stop` removes it")
        return
    if state is None:
        yield ok("server", "not running")
        return
    try:
        from client import ClientError, RestManagement
        from deploy.processes import alive
        from deploy.run_folder import server_of
    except ModuleNotFoundError as error:
        yield problem("server", f"not looked at: {error.name} is not installed", "./scripts/setup serve")
        return
    process = alive(state)
    if process is None:
        yield note("server", "it ended without being stopped", "`./bundle stop` removes what it left")
        return
    try:
        with RestManagement(server_of(checkout.run), timeout=PATIENCE) as management:
            models = [management.describe(model.name) for model in management.list_models()]
    except ClientError as error:
        yield problem("server", f"pid {process.pid} runs but does not answer: {error}", "see .run/logs, or restart it")
        return
    loading = [model.name for model in models if not model.ready]
    if loading:
        text = f"pid {process.pid}; not ready: {', '.join(loading)}"
        yield note("server", text, "`./bundle status` shows its workers; .run/logs/models.log has what they say")
    else:
        yield ok("server", f"pid {process.pid}, {len(models)} model(s) ready")
    edge = state.get("edge")
    if edge and alive(edge) is None:
        yield problem(
            "edge", "it ended by itself; see .run/logs/edge.log", "`./bundle stop`, then `./bundle serve --edge`"
        )
