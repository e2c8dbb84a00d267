"""The section of the chart's values that says where archives come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from deploy.kubernetes.fields import DataKey, OptionalName, OptionalReference, Port, Quantity, Reference, Section

ADDRESS = "|".join(
    (
        # No user name before an @.
        r"(s3|gs|az|https)://[^#@/?\s]+/[^#?\s]*[.]mar([?][^#\s]*)?",
        r"hf://[^#@/\s]+/[^#\s]+[.]mar",
        r"oci://[^#@/\s]+/[^#\s]+",
    )
)


class Fetched(Section):
    url: Annotated[str, Field(pattern=rf"^({ADDRESS})$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Fetch(Section):
    archives: list[Fetched] = Field(
        default=[], description="`{url: s3://bucket/name.mar, sha256: …}`; s3, gs, az, hf, https and oci."
    )
    image: Reference = Field(default="torchserve-bundle/fetcher:0.1.0", description="The image that fetches them.")
    credentials_secret: OptionalName = Field(
        default="",
        description="A Secret whose keys become that container's environment variables, such as AWS_ACCESS_KEY_ID, and "
        "its files in /run/credentials: a DOCKER_CONFIG of that value finds config.json there.",
    )
    ports: list[Port] = Field(
        default=[443], description="Ports that the servers' NetworkPolicy then lets them connect to, on any host."
    )


class Signed(Section):
    secret: OptionalName = Field(default="", description="Name of the Secret. Empty: signatures are not required.")
    key: DataKey = Field(default="keys.pem", description="Key in the Secret under which the public keys are stored.")


class Models(Section):
    image: OptionalReference = Field(
        default="torchserve-bundle/models:0.1.0",
        description="An image that holds archives, which are copied to each server. This one has the demo models.",
    )
    claim: OptionalName = Field(
        default="",
        description="A PersistentVolumeClaim with archives, used instead of that image and mounted read-only.",
    )
    fetch: Fetch = Field(
        default=Fetch(),
        description="Archives fetched by their addresses, used instead of image and claim if there are any.",
    )
    size: Quantity = Field(default="10Gi", description="Size limit of the emptyDir that holds the copies.")
    require_signed: Signed = Field(
        default=Signed(), description="With a Secret of public keys, only signed archives are served."
    )
    explain: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]] = Field(
        default=[], description="Models that also answer /explanations; `[all]` for every model that can."
    )
