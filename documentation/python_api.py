"""The objects that users import, with their docstrings."""

from __future__ import annotations

# Heading → its objects, in the order of the page.
OBJECTS = {
    "Calling models": ("client.RestClient", "client.GrpcClient", "client.Answer", "client.Server"),
    "Managing models": ("client.RestManagement", "client.GrpcManagement", "client.ModelStatus"),
    "Handlers of your own": (
        "handlers.base.Handler",
        "handlers.task.Task",
        "handlers.model_worker.ModelWorker",
        "handlers.protocol.payload.Payload",
        "handlers.protocol.payload.InputType",
        "handlers.protocol.response.Response",
        "handlers.errors",
    ),
    "Artifacts": ("train.core.artifact.Artifact", "train.core.stored_weights.round_weights"),
}


def python_page() -> str:
    parts = [
        "# Python",
        "`client` is what callers import, and `handlers.api` all that a handler of your own needs; "
        "`train.core.artifact` hands a model of your own to the archiver.",
    ]
    for heading, names in OBJECTS.items():
        parts += [f"## {heading}", *(f"::: {name}" for name in names)]
    return "\n\n".join(parts) + "\n"
