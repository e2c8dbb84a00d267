"""OpenTelemetry's variables as the edge and the workers go by them."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.configuration import PROJECT
from deploy.errors import DeployError
from deploy.tracing.envoy import cluster_of, manager_of, threshold
from deploy.tracing.settings import Tracing, worker_variables
from deploy.worker_environment import environment

BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def of(**variables: str) -> Tracing:
    tracing = Tracing.of(BASE | variables)
    assert tracing is not None
    return tracing


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_SERVICE_NAME": "models"},
        {**BASE, "OTEL_SDK_DISABLED": "true"},
        {**BASE, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_off(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert Tracing.of(variables) is None
    for name in (*BASE, "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert not environment(Path("run"), Path("tmp"))["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]


def test_the_endpoint() -> None:
    assert of().endpoint == "http://collector:4318/v1/traces"
    assert of(OTEL_EXPORTER_OTLP_ENDPOINT="https://c/otlp/").endpoint == "https://c/otlp/v1/traces"
    assert of(OTEL_EXPORTER_OTLP_ENDPOINT="https://c/otlp/").port == 443
    assert of(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://t:1/x").endpoint == "http://t:1/x"
    assert worker_variables(BASE)["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] == "http://collector:4318/v1/traces"


@pytest.mark.parametrize(
    ("sampler", "argument", "parent_based", "ratio"),
    [
        ("", "", True, 1.0),
        ("parentbased_always_off", "1", True, 0.0),
        ("parentbased_traceidratio", "0.25", True, 0.25),
        ("parentbased_traceidratio", "", True, 1.0),
        ("always_on", "0.5", False, 1.0),
        ("traceidratio", "1e-6", False, 1e-6),
    ],
)
def test_samplers(sampler: str, argument: str, parent_based: bool, ratio: float) -> None:
    tracing = of(OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG=argument)
    assert (tracing.parent_based, tracing.ratio, threshold(tracing)) == (parent_based, ratio, round(ratio * 1e6))
    told = worker_variables({**BASE, "OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument})
    assert (told["OTEL_TRACES_SAMPLER"], float(told["OTEL_TRACES_SAMPLER_ARG"])) == ("parentbased_traceidratio", ratio)


CREDENTIAL = "known-to-the-collector"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "wanted http://HOST:PORT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:99999"}, "a port from 1 to 65535"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://me:{CREDENTIAL}@collector"}, "OTEL_EXPORTER_OTLP_HEADERS"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "wanted http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "wanted http/protobuf"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "wanted otlp or none"),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "wanted one of always_on"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, "from 0 to 1"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"}, "from 0 to 1"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": f"a=b,{CREDENTIAL}"}, "entry 2"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": f"key={CREDENTIAL}%0d%0aother"}, "entry 1"),
        ({"OTEL_EXPORTER_OTLP_CLIENT_KEY": f"/{CREDENTIAL}"}, "OTEL_EXPORTER_OTLP_CLIENT_KEY"),
    ],
)
def test_what_is_wrong_is_said_without_secrets(variables: dict[str, str], said: str) -> None:
    with pytest.raises(DeployError, match=said) as raised:
        Tracing.of(BASE | variables)
    assert CREDENTIAL not in str(raised.value)


def test_serve_says_so_before_it_starts_anything(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "serve", "--traces", "localhost"],
        cwd=PROJECT,
        env={"PATH": "", "BUNDLE_RUN": str(tmp_path / "run")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.startswith("serve: OTEL_EXPORTER_OTLP_ENDPOINT: wanted http")) == (1, True)
    assert not (tmp_path / "run").exists()


def test_headers_are_decoded_and_shown_to_nobody() -> None:
    tracing = of(OTEL_EXPORTER_OTLP_HEADERS=f"Authorization=Bearer%20{CREDENTIAL}, x-team = models")
    assert tracing.headers == {"authorization": f"Bearer {CREDENTIAL}", "x-team": "models"}
    assert CREDENTIAL not in repr(tracing)


def test_a_percent_sign_in_a_header_is_no_command_of_envoys() -> None:
    provider = manager_of(of(OTEL_EXPORTER_OTLP_HEADERS="key=a%25b"))["provider"]
    [added] = provider["typed_config"]["http_service"]["request_headers_to_add"]
    assert added["header"] == {"key": "key", "value": "a%%b"}


@pytest.mark.parametrize(
    ("host", "kind", "sni"), [("c.example", "DNS", "c.example"), ("192.0.2.7", "IP_ADDRESS", None)]
)
def test_a_collector_s_certificate_is_checked(host: str, kind: str, sni: str | None) -> None:
    cluster = cluster_of(of(OTEL_EXPORTER_OTLP_ENDPOINT=f"https://{host}", OTEL_EXPORTER_OTLP_CERTIFICATE="/ca.pem"))
    context = cluster["transport_socket"]["typed_config"]
    validation = context["common_tls_context"]["validation_context"]
    assert (validation["trusted_ca"], context.get("sni")) == ({"filename": "/ca.pem"}, sni)
    assert validation["match_typed_subject_alt_names"] == [{"san_type": kind, "matcher": {"exact": host}}]
