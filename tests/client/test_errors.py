import pytest

from client import ClientError, RequestError, ServerError, Unauthorized
from client.errors import BUSY, BY_CODE, error_for


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_each_code_has_its_class(code: int) -> None:
    error = error_for(code, "Kind", "what")
    assert type(error) is BY_CODE[code]
    assert isinstance(error, RequestError if code < 500 else ServerError)
    assert (error.code, error.type, error.message) == (code, "Kind", "what")
    assert str(error) == f"{code} Kind: what"


@pytest.mark.parametrize(
    ("code", "kind"), [(405, RequestError), (408, RequestError), (500, ServerError), (599, ServerError)]
)
def test_other_codes_fall_back(code: int, kind: type[ClientError]) -> None:
    assert type(error_for(code, "Kind", "what")) is kind


def test_a_refused_key_is_unauthorized_whatever_its_code() -> None:
    error = error_for(400, "InvalidKeyException", "what")
    assert type(error) is Unauthorized
    assert error.code == 401


def test_a_full_queue_is_named_and_not_taken_for_a_model_that_has_to_be_scaled() -> None:
    said = 'Model "x" has no worker to serve inference request. Please use scale workers API to add workers.'
    error = error_for(503, "ServiceUnavailableException", said)
    assert (error.code, error.message) == (503, BUSY)
    assert "queue is full" in BUSY
    assert "try again" in BUSY


def test_an_error_without_a_type_is_named_after_its_class() -> None:
    assert error_for(413, "", "what").type == "TooLarge"
