"""An answer of TorchServe's that is cut off, as it does to errors that repeat a large form."""

from collections.abc import Iterator

import pytest

from tests.deploy.edge.caller import assert_form
from tests.deploy.envoy.mirrored_edge import Edge, mirrored


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with mirrored(tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("content_type", "code", "type"),
    [
        ("multipart/form-data; boundary=b", 400, "MalformedInput"),
        ("Multipart/Form-Data; boundary=b", 400, "MalformedInput"),
        ("application/x-www-form-urlencoded", 415, "UnsupportedMedia"),
        ("application/json", 502, "EdgeError"),
        ("", 502, "EdgeError"),
    ],
)
def test_what_a_caller_is_told(edge: Edge, content_type: str, code: int, type: str) -> None:
    """Where the body is a form, that is the cause; else it is the server's fault."""
    assert_form(edge.ask("/predictions/model/cut", **{"content-type": content_type}), code, type)
