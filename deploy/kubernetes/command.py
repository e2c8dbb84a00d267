"""`./bundle deploy manifests`: writes the files for a cluster to a folder."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import yaml

from deploy.configuration import PROJECT
from deploy.edge import certificate, clients
from deploy.edge.private_file import write_private
from deploy.errors import DeployError
from deploy.kubernetes.fields import SUBDOMAIN
from deploy.versions.options import reported

KINDS = {"helm": "chart", "kustomize": "kustomize", "kserve": "kserve"}
SECRET = "secret.yaml"  # noqa: S105 - a file's name


def manifests(
    output: Annotated[Path, typer.Argument(help="Output folder; created if missing.")],
    helm: Annotated[bool, typer.Option("--helm", help="Write the Helm chart.")] = False,
    kustomize: Annotated[
        bool, typer.Option("--kustomize", help="Write a base and components with the same objects.")
    ] = False,
    kserve: Annotated[bool, typer.Option("--kserve", help="Write a ServingRuntime and examples that use it.")] = False,
    secret: Annotated[
        str | None,
        typer.Option(
            metavar="HOST[,HOST]…",
            help="Write a Secret with new keys for two callers and a self-signed certificate for these hosts.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of that Secret.")] = "torchserve-edge",
) -> None:
    """Write the files that run this server on a Kubernetes cluster: docs/kubernetes.md.

    Keep the Secret's file private and out of repositories.
    """
    with reported("manifests"):
        chosen = [
            folder for kind, folder in KINDS.items() if {"helm": helm, "kustomize": kustomize, "kserve": kserve}[kind]
        ]
        if not chosen and secret is None:
            raise DeployError("nothing is asked for; wanted --helm, --kustomize, --kserve or --secret")
        taken = [
            path
            for path in (output / each for each in (*chosen, *([] if secret is None else [SECRET])))
            if path.exists()
        ]
        if taken:
            raise DeployError(f"{', '.join(map(str, taken))} exists, and is left as it is")
        text = secret_manifest(name, secret.split(",")) if secret is not None else ""
        for folder in chosen:
            shutil.copytree(PROJECT / "kubernetes" / folder, output / folder)
            typer.echo(output / folder)
        if secret is not None:
            write_private(output / SECRET, text)
            typer.echo(output / SECRET)


def secret_manifest(name: str, hosts: list[str]) -> str:
    """A Secret for an edge, as YAML: keys that nobody else has, and a certificate. Raises DeployError."""
    if not re.fullmatch(SUBDOMAIN, name) or len(name) > 253:
        raise DeployError(
            f"--name {name[:80]!r}: wanted lower-case letters, digits, - and . inside it, as Secrets are called"
        )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        clients.ensure(folder / clients.NAME)
        certificate.ensure(folder, hosts)
        made = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "stringData": made},
        sort_keys=False,
    )
