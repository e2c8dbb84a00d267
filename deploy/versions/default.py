"""The default version of a model, which answers calls that name none."""

from __future__ import annotations

from functools import partial

from deploy.errors import DeployError
from deploy.versions.target import Target
from deploy.versions.undoing import Tell, Undoing, all_or_nothing


def set_default(targets: list[Target], model: str, version: str, tell: Tell) -> None:
    """Set it on all targets or on none. TorchServe switches between two calls. Raises DeployError and ClientError."""
    with all_or_nothing(tell) as undoing:
        change_default(targets, model, version, undoing)


def change_default(targets: list[Target], model: str, version: str, undoing: Undoing) -> None:
    for target in targets:
        with target.management() as management:
            ready = [each.version for each in management.versions(model) if each.ready]
            if version not in ready:
                raise DeployError(f"{target.name}: {model} has no ready version {version}; ready: {', '.join(ready)}")
    for target in targets:
        with target.management() as management:
            before = management.describe(model).version
            undoing.add(
                f"{target.name}: default version {version}",
                partial(make_default, target, model, before),
            )
            management.set_default(model, version)


def make_default(target: Target, model: str, version: str) -> None:
    with target.management() as management:
        management.set_default(model, version)
