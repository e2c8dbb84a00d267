"""The sections of the chart's values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deploy.kubernetes.fields import (
    Amounts,
    Annotations,
    AtLeastOne,
    Count,
    DataKey,
    Duration,
    ExtendedResource,
    Host,
    Labels,
    Namespace,
    OptionalName,
    ParentRef,
    Peer,
    Percent,
    Port,
    Reference,
    Repository,
    Resources,
    Section,
    Tag,
    Toleration,
    TopologyKey,
)

ENDPOINT = r"https?://[^/?#@\s]+[^?#@\s]*"


class Image(Section):
    repository: Repository = "torchserve-bundle/server"
    tag: Tag = Field(default="0.1.0", description="Or a digest, `@sha256:…`.")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"


class Gpu(Section):
    count: Count = 0
    resource: ExtendedResource = Field(
        default="nvidia.com/gpu", description="Or a MIG profile's: `nvidia.com/mig-1g.10gb`."
    )
    node_selector: Labels = Field(
        default={"nvidia.com/gpu.present": "true"}, description="Added to the servers if count > 0."
    )
    tolerations: list[Toleration] = Field(
        default=[Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")],
        description="Added to the servers' where count > 0.",
    )
    runtime_class_name: OptionalName = Field(default="", description="`nvidia` where that is not the nodes' default.")


class EdgeService(Section):
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    port: Port = 443
    annotations: Annotations = Field(default={})


class Edge(Section):
    enabled: bool = True
    image: Reference = "envoyproxy/envoy:v1.40.0"
    replicas: Count = 2
    secret: OptionalName = Field(
        default="torchserve-edge",
        description="A Secret with clients.yaml, tls.crt and tls.key, and traffic.yaml if versions share calls. "
        "`./bundle deploy manifests --secret` writes one; none comes with the chart.",
    )
    service: EdgeService = EdgeService()
    drain_seconds: Annotated[int, Field(ge=1, le=600)] = Field(
        default=40,
        description="Seconds that a stopping edge keeps answering while it asks callers to connect elsewhere.",
    )
    resources: Resources = Resources(
        requests=Amounts(cpu="500m", memory="512Mi"), limits=Amounts(cpu="2", memory="2Gi")
    )


class Gateway(Section):
    enabled: bool = False
    parent_refs: list[ParentRef] = Field(
        default=[ParentRef(name="gateway")], min_length=1, description="As in an HTTPRoute."
    )
    hostnames: list[Host] = Field(default=[])
    namespace: Namespace = Field(
        default="gateway-system", description="Namespace of the Gateway's pods, which may reach the servers."
    )


class Autoscaling(Section):
    by: Literal["none", "cpu", "queue"] = Field(
        default="none",
        description="cpu: a HorizontalPodAutoscaler. queue: a KEDA ScaledObject on the number of waiting requests.",
    )
    min_replicas: AtLeastOne = 2
    max_replicas: AtLeastOne = 10
    cpu_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=70, description="CPU utilisation to aim for, in percent of the request."
    )
    waiting: AtLeastOne = Field(default=4, description="Waiting requests per server to aim for.")
    prometheus: Annotated[str, Field(pattern=rf"^{ENDPOINT}$")] = Field(
        default="http://prometheus-operated.monitoring:9090", description="Address of the Prometheus that KEDA queries."
    )
    scale_down_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=300, description="Seconds of lower load before servers are removed."
    )


class Budget(Section):
    enabled: bool = True
    max_unavailable: Count | Percent = 1


class Spread(Section):
    enabled: bool = True
    topology_keys: list[TopologyKey] = Field(
        default=["kubernetes.io/hostname", "topology.kubernetes.io/zone"], json_schema_extra={"uniqueItems": True}
    )
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = "ScheduleAnyway"


class NetworkPolicy(Section):
    enabled: bool = True
    callers: list[Peer] = Field(
        default=[], description="Who may reach the edge, as in the `from` of a rule. Empty: everybody."
    )
    prometheus: Peer = Field(
        default={"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
        description="Who may read metrics: one entry of a rule's `from`.",
    )


class Monitoring(Section):
    enabled: bool = False
    labels: Labels = Field(
        default={"release": "prometheus"}, description="Labels by which Prometheus finds PodMonitors and rules."
    )
    interval: Duration = "10s"
    dashboard_labels: Labels = Field(
        default={"grafana_dashboard": "1"}, description="Label by which Grafana's sidecar finds the dashboard."
    )


class Headers(Section):
    secret: OptionalName = Field(default="", description="Name of the Secret. Empty: none are sent.")
    key: DataKey = Field(default="headers", description="Key in the Secret: `authorization=Bearer%20…`.")


class Authority(Section):
    config_map: OptionalName = Field(
        default="", description="Name of the ConfigMap. Empty: the images' own authorities."
    )
    key: DataKey = Field(default="ca.crt", description="Key in the ConfigMap under which they are stored, PEM.")


class Tracing(Section):
    endpoint: Annotated[str, Field(pattern=rf"^({ENDPOINT})?$")] = Field(
        default="", description="The collector, OTLP over HTTP: `http://collector.monitoring:4318`. Empty: no traces."
    )
    sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = Field(default="parentbased_always_on", description="The same as OpenTelemetry's OTEL_TRACES_SAMPLER.")
    ratio: Annotated[float, Field(ge=0, le=1)] = Field(
        default=1, description="Share of requests to trace, from 0 to 1, for the two traceidratio samplers."
    )
    service: str = Field(
        default="torchserve-bundle", description="The servers' name in a trace; `-edge` is appended for the edge."
    )
    attributes: dict[str, str] = Field(
        default={}, description="With every span, beside the names of pod and namespace: `{team: search}`."
    )
    headers: Headers = Field(default=Headers(), description="A Secret with headers for the collector.")
    authority: Authority = Field(
        default=Authority(), description="A ConfigMap with the certificate authorities for the collector."
    )
    peers: list[Peer] = Field(
        default=[],
        description="Where the NetworkPolicy allows spans to go, as in a rule's `to`. Empty: to any host.",
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=0,
        description="The port of the collector's pods if its Service has a different one. 0: the endpoint's port.",
    )


class ServiceAccount(Section):
    create: bool = True
    name: OptionalName = Field(
        default="",
        description="Name of the account. Empty: derived from the release's name, or `default` if none is created.",
    )
    annotations: Annotations = Field(
        default={}, description="Annotations for workload identity, such as `eks.amazonaws.com/role-arn`."
    )


class KServe(Section):
    enabled: bool = False
    mode: Literal["standard", "knative"] = Field(
        default="standard",
        description="knative divides traffic between revisions and allows a single port, so only REST.",
    )
