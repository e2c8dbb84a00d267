"""KServe's prediction dialects: v1 `instances` here, v2 in open_inference/; answers in either."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from handlers.errors import MalformedInput, TooLarge
from handlers.protocol.payload import Request
from handlers.protocol.response import Response


def v1_instances(instances: Any, max_instances: int) -> list[Any]:
    """The instances of a request, no more than the limit."""
    if not isinstance(instances, list) or not instances:
        raise MalformedInput("instances: wanted a list with at least one instance")
    return within_limit(instances, max_instances)


def within_limit(instances: list[Any], max_instances: int) -> list[Any]:
    if len(instances) > max_instances:
        raise TooLarge(f"{len(instances)} instances in one request; the limit is {max_instances}")
    return instances


def wrapped(request: Request, responses: list[Response], model_name: str, model_version: str) -> Response:
    """The responses to a request's instances as one, in the request's dialect."""
    bodies = [each.body for each in responses]
    if request.dialect == "v1":
        made = Response(v1_body(bodies))
    else:
        from handlers.protocol.open_inference.response import response  # a worker starts sooner without it

        made = response(bodies, request, model_name, model_version)
    return replace(made, classes=[label for each in responses for label in each.classes])


def v1_body(answers: list[bytes]) -> bytes:
    """`{"predictions": [answer, …]}` from answers that are JSON already."""
    return b'{"predictions":[' + b",".join(answers) + b"]}"
