"""The values of the Helm chart: values.yaml, its schema and its README's table are generated from these classes."""

from __future__ import annotations

from pydantic import Field

from deploy.kubernetes.archives import Models
from deploy.kubernetes.fields import (
    Affinity,
    Annotations,
    Count,
    Labels,
    OptionalName,
    Prefix,
    PullSecret,
    Resources,
    Section,
    Toleration,
)
from deploy.kubernetes.sections import (
    Autoscaling,
    Budget,
    Edge,
    Gateway,
    Gpu,
    Image,
    KServe,
    Monitoring,
    NetworkPolicy,
    ServiceAccount,
    Spread,
    Tracing,
)


class Values(Section):
    """All of them, with their defaults."""

    name_override: Prefix = Field(default="", description="Instead of the release's name.")
    image: Image = Field(default=Image(), description="The server's image.")
    image_pull_secrets: list[PullSecret] = Field(default=[], description="As in a pod: `[{name: registry}]`.")
    replicas: Count = Field(default=2, description="Number of servers, unless autoscaling is on.")
    models: Models = Field(default=Models(), description="Where the archives come from.")
    resources: Resources = Field(
        default=Resources(),
        description="Resources of each server. The CPU limit determines the number of workers; Java's heap is a "
        "quarter of the memory limit.",
    )
    drain_seconds: int = Field(
        default=20,
        ge=1,
        le=600,
        description="Seconds that a stopping server has to answer the requests it has received.",
    )
    pre_stop_seconds: int = Field(
        default=5,
        ge=0,
        le=120,
        description="Seconds before draining starts, in which Services remove the pod from their endpoints.",
    )
    startup_seconds: int = Field(
        default=900, ge=30, le=86_400, description="Seconds within which every model must have answered its own sample."
    )
    gpu: Gpu = Field(default=Gpu(), description="GPUs of each server; compute capability 7.5 and driver 580 or newer.")
    edge: Edge = Field(
        default=Edge(), description="Envoy: TLS, a key and a rate for each caller, REST and gRPC on one port."
    )
    gateway: Gateway = Field(
        default=Gateway(),
        description="Routes (HTTPRoute and GRPCRoute) of the cluster's Gateway, used instead of the edge.",
    )
    autoscaling: Autoscaling = Field(
        default=Autoscaling(), description="Changes the number of servers with their load."
    )
    budget: Budget = Field(default=Budget(), description="PodDisruptionBudgets of the servers and the edge.")
    spread: Spread = Field(default=Spread(), description="Spreads servers and edges over nodes and zones.")
    network_policy: NetworkPolicy = Field(
        default=NetworkPolicy(),
        description="Only the edge and Prometheus may reach TorchServe, which asks for no keys.",
    )
    monitoring: Monitoring = Field(default=Monitoring(), description="Needs the Prometheus operator's CRDs.")
    tracing: Tracing = Field(default=Tracing(), description="OpenTelemetry spans of servers and edge.")
    service_account: ServiceAccount = Field(
        default=ServiceAccount(), description="Of the servers. Kubernetes' own token is never mounted."
    )
    node_selector: Labels = Field(default={}, description="Node selector of the servers.")
    tolerations: list[Toleration] = Field(default=[], description="Tolerations of the servers.")
    affinity: Affinity = Field(default={}, description="Affinity of the servers.")
    priority_class_name: OptionalName = Field(default="", description="Priority class of the servers.")
    pod_annotations: Annotations = Field(default={}, description="Annotations of the servers' pods.")
    kserve: KServe = Field(default=KServe(), description="Only a ServingRuntime, for a cluster with KServe.")
