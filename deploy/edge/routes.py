"""Which call goes where, who may make it, and what is tried again; every other call ends here."""

from __future__ import annotations

import re
from typing import Any

from client.explanations import SUFFIX
from deploy.edge.clients import Clients
from deploy.edge.clusters import sized
from deploy.edge.discovery import TYPES, Resource
from deploy.edge.filters import admins_alone, at_most, cors, without
from deploy.edge.limits import ADMIN, MAX_MANAGEMENT, RETRIES, SIZES, TOTAL, TRY, SizeClass
from deploy.edge.management import CALLS, NAME, REFUSED
from deploy.edge.network import Upstream
from deploy.edge.registration import checked
from deploy.surface.openai import paths as openai

FILE, CONFIGURATION = "routes.json", "edge"
INFERENCE = "/org.pytorch.serve.grpc.inference.InferenceAPIsService"
MANAGEMENT = "/org.pytorch.serve.grpc.management.ManagementAPIsService"
# The methods that our clients call. TorchServe has StreamPredictions2 as well: two messages on one stream of it end the
# thread of a worker for good.
METHODS = ("Predictions", "StreamPredictions", "Ping")
# KServe's v2 protocol: a service of ours beside TorchServe, and what the status says of the models.
OPEN_INFERENCE = "/inference.GRPCInferenceService"
OPEN_INFERENCE_METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
# By this responses.lua knows that an error is a message alone.
KSERVE = {"metadata": {"filter_metadata": {"envoy.filters.http.responses": {"kserve": True}}}}
V2_MODEL = rf"/v2/models/{NAME}(?:/versions/{NAME})?"
V2_METADATA = ("/v2/?", "/v2/models/?", rf"{V2_MODEL}(?:/ready)?")
OPENAPI = rf"/openapi(?:/{NAME})?\.json"
CARDS = rf"/cards(?:/{NAME}(?:/versions/{NAME})?(?:/sample)?)?"
PAGE = r"/page(?:/[A-Za-z0-9_./-]*)?"
V2_HEALTH = r"/v2/health/(?:live|ready)"
MANAGEMENT_METHODS = ("DescribeModel", "ListModels", "RegisterModel", "ScaleWorker", "SetDefault", "UnregisterModel")
EXPLANATIONS = rf"/explanations/{NAME}(?:/{NAME})?"
PREDICTIONS = (
    *(rf"/predictions/{NAME}(?:/{NAME})?", rf"/v1/models/{NAME}:predict", rf"{V2_MODEL}/infer"),
    EXPLANATIONS,
)
# A model's explanations are a second model of TorchServe's, with workers of its own. In Envoy's own syntax for groups.
EXPLAINER = {
    "pattern": {"regex": rf"^/explanations/([A-Za-z0-9][A-Za-z0-9_.-]*?)(?:{re.escape(SUFFIX)})?(/[^/?]*)?$"},
    "substitution": rf"/explanations/\1{SUFFIX}\2",
}
# By these TorchServe's own BaseHandler decides what to do with a whole batch; TorchServe sets them itself where they
# are meant. Others that it looks at (url_path, ts_request_sequence_id) have underscores, which the listener refuses.
DECIDING = ("describe", "explain")
# Envoy answers `Expect: 100-continue` itself; any other expectation would end as a bare 417 of TorchServe's.
EXPECTATIONS = ("expect",)
ANY = {"prefix": "/"}
# requests.lua sets the header for the calls that are to be copied.
COPIED = {"request_mirror_policies": [{"cluster_header": "x-shadow"}]}
NO_PATH = "no such path; there is POST /predictions/{model}"


def route_configuration(clients: Clients, upstream: Upstream, grafana: bool) -> Resource:
    """All routes, as Envoy's RDS reads them."""
    hosts = [{"name": "all", "domains": ["*"], "routes": routes(clients, upstream, grafana)}]
    kind = f"{TYPES}/envoy.config.route.v3.RouteConfiguration"
    return Resource(FILE, {"@type": kind, "name": CONFIGURATION, "virtual_hosts": hosts})


def routes(clients: Clients, upstream: Upstream, grafana: bool) -> list[dict[str, Any]]:
    admins = [name for name, client in clients.clients.items() if client.admin]
    # A prediction changes nothing, so one that a dying or overloaded server did not answer goes to another.
    retry = {
        "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes,unavailable",
        "retriable_status_codes": [503],
        "num_retries": RETRIES,
        "per_try_timeout": TRY,
        "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
        # Of two servers a dead one has fewer requests in hand, so LEAST_REQUEST draws it three times in four: of six
        # draws one in six has no other, and the retry goes to the server that has just failed.
        "host_selection_retry_max_attempts": 50,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
    }

    def authorised(made: dict[str, Any], protocol: str) -> dict[str, Any]:
        """The route with TorchServe's key in place of the caller's."""
        made["request_headers_to_remove"] = [*DECIDING, *EXPECTATIONS]
        token = upstream.tokens.get(protocol)
        if token:
            made["request_headers_to_add"] = [
                {
                    "header": {"key": "authorization", "value": f"Bearer {token}"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            ]
        else:
            made["request_headers_to_remove"].append("authorization")  # a caller's key is the edge's affair alone
        return made

    def prediction(match: dict[str, Any], protocol: str) -> list[dict[str, Any]]:
        """A route for each size of body, the largest first."""
        made = [
            {
                "match": {**match, "headers": [*match.get("headers", []), *at_least(smaller)]},
                "route": {"cluster": sized(protocol, size), "timeout": TOTAL, "retry_policy": retry, **COPIED},
            }
            for smaller, size in reversed(list(zip((None, *SIZES), SIZES, strict=False)))
        ]
        return [authorised(each, protocol) for each in made]

    def management(match: dict[str, Any], cluster: str, registers: bool) -> dict[str, Any]:
        route: dict[str, Any] = {
            "match": match,
            "route": {"cluster": cluster, "timeout": ADMIN},
            "typed_per_filter_config": {**admins_alone(admins), **at_most(MAX_MANAGEMENT)},
        }
        made = authorised(route, cluster)
        if registers:
            made["typed_per_filter_config"] |= checked()
        if cluster == "management":
            made["typed_per_filter_config"] |= without("responses")  # a 500 of these is not about a form
            made["request_headers_to_remove"].append("content-type")  # JSON would be read instead of the query
            # TorchServe takes every path with "/token" in it for a request of a key, that of a model "tokenizer" too.
            made["route"]["regex_rewrite"] = {"pattern": {"regex": "^/models/token"}, "substitution": "/models/%74oken"}
        return made

    def from_browsers(match: dict[str, Any]) -> list[dict[str, Any]]:
        """Routes of what a browser asks first. The filter answers it, so it goes nowhere."""
        if not clients.allowed_origins:
            return []
        asked = [header(":method", "OPTIONS"), header("access-control-request-method", ".+"), among(clients)]
        return prediction({**match, "headers": asked}, "rest")

    def openai_call(path: str, body: str) -> list[dict[str, Any]]:
        """The routes on which a call arrives; once requests.lua has found its model it has another."""
        more = {**cors(clients.allowed_origins), **(at_most(openai.MAX_JSON) if body == openai.JSON else {})}
        match = {"path": path}
        taken = prediction({**match, "headers": [header(":method", "POST")]}, "rest") + from_browsers(match)
        other = {**refused(match, 405, "wanted POST"), **answered_with("allow", "POST")}
        return [{**each, **openai.FORM_OF_ERRORS, "typed_per_filter_config": more} for each in taken] + [
            {**other, **openai.FORM_OF_ERRORS}
        ]

    made = [grafana_route()] if grafana else []
    for method in METHODS:
        made += prediction({"path": f"{INFERENCE}/{method}"}, "grpc")
    for method in OPEN_INFERENCE_METHODS:
        calls = prediction({"path": f"{OPEN_INFERENCE}/{method}"}, "open_inference")
        made += [{**call, **KSERVE} for call in calls]
    made.append({**refused({"prefix": f"{OPEN_INFERENCE}/"}, 404, NO_PATH), **KSERVE})
    made += [
        management({"path": f"{MANAGEMENT}/{method}"}, "grpc_management", method == "RegisterModel")
        for method in MANAGEMENT_METHODS
    ]
    for path in PREDICTIONS:
        match: dict[str, Any] = {"safe_regex": {"regex": path}}
        taken = prediction({**match, "headers": [header(":method", "POST|PUT")]}, "rest")
        if path == EXPLANATIONS:
            for each in taken:
                each["route"]["regex_rewrite"] = EXPLAINER
        taken += from_browsers(match)
        kserve = KSERVE if path.startswith("/v") else {}
        made += [{**each, "typed_per_filter_config": cors(clients.allowed_origins), **kserve} for each in taken]
        made.append({**refused(match, 405, "wanted POST"), **answered_with("allow", "POST"), **kserve})
    for call, body in openai.CALLS.items():
        made += openai_call(f"/v1/{call}", body)
    made += said(V2_HEALTH, clients, KSERVE, without("api_key_auth", "local_ratelimit"))
    for path in V2_METADATA:
        made += said(path, clients, KSERVE, {})
    for path in (OPENAPI, CARDS):
        made += said(path, clients, {}, {})
    # Files that are the same for everyone: a browser has no key to send before the page is there to ask for it.
    made += said(PAGE, clients, {}, without("api_key_auth", "local_ratelimit", "requests"))
    for path in openai.MODELS:
        made += said(path, clients, openai.FORM_OF_ERRORS, {})
    for method, call in CALLS:
        headers = [header(":method", method), header(":path", call)]
        made.append(management({**ANY, "headers": headers}, "management", method == "POST"))
    for other in ({"path": "/models"}, {"prefix": "/models/"}):
        made.append({**refused(other, 422, REFUSED), "typed_per_filter_config": admins_alone(admins)})
    # requests.lua answers it.
    made.append({**refused({"path": "/traffic"}, 404, NO_PATH), "typed_per_filter_config": admins_alone(admins)})
    made.append({**refused({"prefix": "/v2/"}, 404, NO_PATH), **KSERVE})
    made.append({**refused({"safe_regex": {"regex": "/v1/[^:]*"}}, 404, NO_PATH), **openai.FORM_OF_ERRORS})
    made.append(refused(ANY, 404, NO_PATH))
    return made


def said(path: str, clients: Clients, form: dict[str, Any], more: dict[str, Any]) -> list[dict[str, Any]]:
    """The routes of what the status says of the models. form: of errors. more: configuration of filters."""
    match = {"safe_regex": {"regex": path}}
    get = {**match, "headers": [header(":method", "GET")]}
    own = {**more, **cors(clients.allowed_origins)}
    route = {
        "match": get,
        "route": {
            "cluster": "status",
            "timeout": TRY,
            "retry_policy": {"retry_on": "connect-failure,refused-stream"},
            "host_rewrite_literal": "localhost",  # as the status server of this machine asks
        },
        "request_headers_to_remove": ["authorization"],
        "typed_per_filter_config": own,
        **form,
    }
    return [route, {**refused(match, 405, "wanted GET"), **answered_with("allow", "GET"), **form}]


def header(name: str, regex: str) -> dict[str, Any]:
    """Matches a header whose whole value is that of the regular expression."""
    return {"name": name, "string_match": {"safe_regex": {"regex": regex}}}


def among(clients: Clients) -> dict[str, Any]:
    """Matches the allowed origins."""
    return header("origin", "|".join(re.escape(origin) for origin in clients.allowed_origins))


def at_least(smaller: SizeClass | None) -> list[dict[str, Any]]:
    """Matches a body that is too large for the next smaller size. A length has always been counted by then."""
    return [header("content-length", rf"[0-9]{{{smaller.digits + 1},}}")] if smaller else []


def refused(match: dict[str, Any], code: int, message: str) -> dict[str, Any]:
    """Over gRPC, 404 and 501 are UNIMPLEMENTED; responses.lua says which statuses the others are."""
    return {"match": match, "direct_response": {"status": code, "body": {"inline_string": message}}}


def answered_with(name: str, value: str) -> dict[str, Any]:
    return {"response_headers_to_add": [{"header": {"key": name, "value": value}}]}


def grafana_route() -> dict[str, Any]:
    """Grafana asks for a password of its own, in a form: browsers have no key to send."""
    return {
        "match": {"prefix": "/grafana"},
        "route": {"cluster": "grafana", "timeout": "60s", "upgrade_configs": [{"upgrade_type": "websocket"}]},
        "typed_per_filter_config": without("cors", "api_key_auth", "local_ratelimit", "requests", "responses"),
    }
