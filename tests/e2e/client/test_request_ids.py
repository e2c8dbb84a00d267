"""Without an edge, TorchServe itself names each request over REST: answers, errors of models and its own."""

import pytest

from client import ClientError, RestClient
from tests.inputs import OBSERVATIONS

OBSERVATION = OBSERVATIONS[0].tolist()


def test_every_answer_and_error_has_a_request_id(rest: RestClient) -> None:
    found = [rest.predict("tiny-policy", OBSERVATION).request_id for _ in range(2)]
    for model, payload in (("tiny-policy", [1]), ("nobody", OBSERVATION)):
        with pytest.raises(ClientError) as raised:
            rest.predict(model, payload)
        found.append(raised.value.request_id)
    assert [len(each) for each in found] == [36] * 4
    assert len(set(found)) == 4
