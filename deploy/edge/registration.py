"""A call that registers an archive: which one, as the edge passes it to the server before TorchServe sees it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from google.protobuf.message import DecodeError

from client.stubs.management_pb2 import RegisterModelRequest
from deploy.edge.limits import ADMIN, MAX_MANAGEMENT

ADMISSION = "/admission"  # before the path of the call
MAX_CALL = MAX_MANAGEMENT
METHOD = "/RegisterModel"
GRPC_PREFIX = 5  # bytes before a message: whether it is compressed, and its length
TYPE = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3"
NAME = "envoy.filters.http.ext_authz"


def archive_of(path: str, body: bytes) -> str:
    """The archive that a call names; "" where it names none, which TorchServe refuses.

    path: with the query of a REST call. body: of a gRPC call, one message.
    """
    parts = urlsplit(path)
    if not parts.path.endswith(METHOD):
        return parse_qs(parts.query).get("url", [""])[0]
    try:
        return str(RegisterModelRequest.FromString(body[GRPC_PREFIX:]).url)
    except DecodeError:
        return ""


def filter_of(server: str, port: int) -> dict[str, object]:
    """Asks the server about each call on a route that has `checked`. server: its address. port: of its status."""
    return {
        "name": NAME,
        "disabled": True,  # but on those routes
        "typed_config": {
            "@type": f"{TYPE}.ExtAuthz",
            "http_service": {
                "server_uri": {"uri": f"http://{server}:{port}", "cluster": "admission", "timeout": ADMIN},
                "path_prefix": ADMISSION,
            },
            "with_request_body": {"max_request_bytes": MAX_CALL, "allow_partial_message": False},
            "status_on_error": {"code": "ServiceUnavailable"},
        },
    }


def checked() -> dict[str, object]:
    """A route's configuration whose calls go to TorchServe once the server has admitted the archive."""
    settings = {"@type": f"{TYPE}.ExtAuthzPerRoute", "check_settings": {}}
    return {NAME: settings}
