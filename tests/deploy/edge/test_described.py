"""Requests that schemathesis makes of the description, to a real server through its edge."""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.deploy.edge.caller import EXPLAINED, MODELS, Caller

# Not whether a value of another type than the description's is refused: a number may come as a text, as in a form. And
# not whether all that fits is taken: an observation has bounds, and base64 is of a file.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = int(os.environ.get("EXAMPLES", "8"))  # of each call
pytestmark = pytest.mark.e2e


def test_every_call(caller: Caller) -> None:
    answer = caller.rest("GET", "/openapi.json")
    assert answer.status_code == 200, answer.text
    assert caller.rest("GET", "/openapi.json", key="").status_code == 401
    schema = schemathesis.openapi.from_dict(answer.json())
    schema.config.update(base_url=caller.server.inference)
    calls = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(calls) >= 4 + 4 * len((*MODELS, EXPLAINED))
    for call in calls:
        ask(caller, call)


def ask(caller: Caller, call: Any) -> None:
    """Examples of one call, each answered as the description says."""

    @given(call.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        phases=(Phase.explicit, Phase.generate),
        report_multiple_bugs=False,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Case[Any]) -> None:
        response: Response = case.call(
            headers={"Authorization": caller.keys["inference"]}, verify=str(caller.server.ca_file)
        )
        case.validate_response(response, checks=CHECKS)

    check()
