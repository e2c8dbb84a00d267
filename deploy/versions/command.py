"""`./bundle deploy`: the versions of a running server's models."""

from __future__ import annotations

import typer

from deploy.kubernetes.command import manifests
from deploy.versions import changing, looking, quarantining, splitting
from deploy.versions.feedback import command as outcomes
from deploy.versions.rollout import command as rolling

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def deploy() -> None:
    """Manage the model versions of the running server, or of a fleet; write Kubernetes manifests.

    Exit status: 0 on success, 1 if something was refused or undone, 2 for a wrong option, 3 if no server answers, 130
    after Ctrl-C.
    """


app.command("register")(changing.register)
app.command("scale")(changing.scale)
app.command("set-default")(changing.default)
app.command("unregister")(changing.unregister)
app.command("rollout")(rolling.rollout)
app.command("resume")(rolling.resume)
app.command("abort")(rolling.abort)
app.command("split")(splitting.split)
app.command("feedback")(outcomes.feedback)
app.command("compare")(outcomes.compare)
app.command("status")(looking.status)
app.command("logs")(looking.logs)
app.command("manifests")(manifests)
app.add_typer(quarantining.app, name="quarantine")

if __name__ == "__main__":
    app()
