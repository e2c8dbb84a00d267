"""Types of values, as strict as an API server is with what they become: a wrong one is refused by its name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}([.]{LABEL})*"
UNQUALIFIED = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
QUALIFIED = rf"({SUBDOMAIN}/)?{UNQUALIFIED}"
HOST = rf"([*][.])?{SUBDOMAIN}"
COMPONENT = r"[a-z0-9]+([._-]+[a-z0-9]+)*"
REPOSITORY = rf"([A-Za-z0-9.-]+(:[0-9]{{1,5}})?/)?{COMPONENT}(/{COMPONENT})*"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DIGEST = r"@sha256:[0-9a-f]{64}"

# Of an object; Services' names begin with a letter. Those that may be empty have a default or switch something off.
Name = Annotated[str, Field(pattern=rf"^{SUBDOMAIN}$", max_length=253)]
OptionalName = Annotated[str, Field(pattern=rf"^({SUBDOMAIN})?$", max_length=253)]
Prefix = Annotated[str, Field(pattern=r"^([a-z]([-a-z0-9]*[a-z0-9])?)?$", max_length=40)]
Namespace = Annotated[str, Field(pattern=rf"^{LABEL}$")]
Host = Annotated[str, Field(pattern=rf"^{HOST}$", max_length=253)]
DataKey = Annotated[str, Field(pattern=r"^[-A-Za-z0-9_.]*[-A-Za-z0-9_][-A-Za-z0-9_.]*$", max_length=253)]
Repository = Annotated[str, Field(pattern=rf"^{REPOSITORY}$")]
Tag = Annotated[str, Field(pattern=rf"^({TAG}|{DIGEST})$")]
Reference = Annotated[str, Field(pattern=rf"^{REPOSITORY}(:{TAG})?({DIGEST})?$")]
OptionalReference = Annotated[str, Field(pattern=rf"^({REPOSITORY}(:{TAG})?({DIGEST})?)?$")]
Quantity = Annotated[str, Field(pattern=r"^([0-9]+([.][0-9]*)?|[.][0-9]+)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi|[eE][0-9]+)?$")]
Duration = Annotated[str, Field(pattern=r"^([0-9]+(ms|s|m|h))+$")]
Percent = Annotated[str, Field(pattern=r"^(100|[1-9]?[0-9])%$")]
ExtendedResource = Annotated[str, Field(pattern=rf"^{SUBDOMAIN}/{UNQUALIFIED}$")]
TopologyKey = Annotated[str, Field(pattern=rf"^{QUALIFIED}$")]
Label = Annotated[str, Field(pattern=rf"^({UNQUALIFIED})?$")]
Port = Annotated[int, Field(ge=1, le=65535)]
# Helm writes a million as 1e+06.
Count = Annotated[int, Field(ge=0, le=10_000)]
AtLeastOne = Annotated[int, Field(ge=1, le=10_000)]


def mapping(names: dict[str, Any], values: dict[str, Any], **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "object", "propertyNames": names, "additionalProperties": values, **more})


def one_of(*names: str, least: int = 0) -> WithJsonSchema:
    return mapping({"enum": list(names)}, {"type": "object"}, minProperties=least)


QUALIFIED_NAME = {"type": "string", "pattern": rf"^{QUALIFIED}$"}
LABEL_VALUE = {"type": "string", "pattern": rf"^({UNQUALIFIED})?$"}
Labels = Annotated[dict[str, str], mapping(QUALIFIED_NAME, LABEL_VALUE)]
Annotations = Annotated[dict[str, str], mapping(QUALIFIED_NAME, {"type": "string"})]
# One entry of a NetworkPolicy's `from` or `to`.
Peer = Annotated[dict[str, Any], one_of("ipBlock", "namespaceSelector", "podSelector", least=1)]
Affinity = Annotated[dict[str, Any], one_of("nodeAffinity", "podAffinity", "podAntiAffinity")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Amounts(Section):
    cpu: Quantity | Annotated[int, Field(ge=1, le=1024)]
    memory: Quantity


class Resources(Section):
    requests: Amounts = Amounts(cpu="2", memory="8Gi")
    limits: Amounts = Amounts(cpu="2", memory="8Gi")


class PullSecret(Section):
    name: Name


class Toleration(Section):
    key: TopologyKey | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: Label | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: Annotated[int, Field(ge=0, le=10_000)] | None = None


class ParentRef(Section):
    """As in an HTTPRoute."""

    name: Name
    namespace: Namespace | None = None
    group: str | None = None
    kind: str | None = None
    section_name: Name | None = None
    port: Port | None = None
