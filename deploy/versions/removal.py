"""Takes versions out of service without failing or hanging calls: no new ones, the last answers, the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from client import ClientError, NotFound
from client.management import Management
from client.model_status import ModelStatus
from deploy.edge import traffic
from deploy.edge.traffic import Split, Traffic
from deploy.errors import DeployError
from deploy.status import POLL
from deploy.versions import edge
from deploy.versions.default import make_default
from deploy.versions.quiet import wait_quiet
from deploy.versions.registration import again
from deploy.versions.target import Target, edges
from deploy.versions.undoing import Tell, Undoing, all_or_nothing

SEEN = POLL + 2.0  # seconds until a change of a server's status has reached the edge
UNSAFE = (
    "without an edge nothing keeps calls away from {0}: calls that arrive meanwhile, or wait in its queue, may get no "
    "answer; --force unregisters all the same, once the queue has been empty for a moment"
)


@dataclass(frozen=True)
class Removal:
    """Removal of one version, or of all versions of a model if version is None.

    successor: the new default version if the removed one is the default; None for the only other one. force: proceed
    even without an edge.
    """

    model: str
    version: str | None = None
    successor: str | None = None
    force: bool = False

    def on(self, targets: list[Target], tell: Tell) -> None:
        """Remove on all targets or on none. Raises DeployError and ClientError."""
        for target in targets:
            if target.settings is None and not self.force:
                raise DeployError(f"{target.name}: {UNSAFE.format(self.model)}")
        with all_or_nothing(tell) as undoing:
            found = {target.name: self.choose(target) for target in targets}
            for target in targets:
                self.give_way(target, found[target.name], undoing)
            self.close(targets, undoing, tell)
            for target in targets:
                with target.management() as management:
                    wait_quiet(target, management, self.model, self.version, tell)
            for target in targets:
                for status in found[target.name]:
                    self.unregister(target, status, undoing)
        for target in targets:
            wait_seen(target)
        # Their calls go to TorchServe again, which no longer knows these versions.
        for target in edges(targets):
            edge.change(target, partial(self.settled, default=self.default(target)))

    @property
    def versions(self) -> tuple[str, ...]:
        return (self.version,) if self.version else ()

    def choose(self, target: Target) -> list[ModelStatus]:
        """The versions to remove, the default version last."""
        with target.management() as management:
            found = management.versions(self.model)
            default = management.describe(self.model).version
        chosen = [each for each in found if self.version in (None, each.version)]
        if not chosen:
            there = ", ".join(each.version for each in found)
            raise DeployError(f"{target.name}: {self.model} has no version {self.version}; registered: {there}")
        return sorted(chosen, key=lambda each: each.version == default)

    def give_way(self, target: Target, chosen: Sequence[ModelStatus], undoing: Undoing) -> None:
        """If the version to remove is the default, make another one the default."""
        with target.management() as management:
            default = management.describe(self.model).version
            others = [
                each for each in management.versions(self.model) if each.version not in {c.version for c in chosen}
            ]
            if default != self.version or not others:
                return
            successor = self.successor or (others[0].version if len(others) == 1 else None)
            ready = [each.version for each in others if each.ready]
            if successor is None:
                raise DeployError(
                    f"{target.name}: {self.version} is the default version of {self.model}; choose the next one "
                    f"with --default, of {', '.join(ready)}"
                )
            if successor not in ready:
                raise DeployError(f"{target.name}: {self.model} has no ready version {successor}")
            undoing.add(
                f"{target.name}: default version {successor}", partial(make_default, target, self.model, default)
            )
            management.set_default(self.model, successor)

    def close(self, targets: list[Target], undoing: Undoing, tell: Tell) -> None:
        """Keep new calls away, and wait for those in progress."""
        for target in edges(targets):
            split = traffic.read(target.traffic).models.get(self.model)
            step = f"{target.name}: no calls for {self.model} {self.version or ''}"
            undoing.add(step.rstrip(), partial(edge.change, target, partial(self.reopened, split=split)))
            edge.change(target, lambda now: now.closing(self.model, self.versions))
        for target in edges(targets):
            edge.wait_uploaded(target, tell)

    def reopened(self, now: Traffic, split: Split | None) -> Traffic:
        return now.opened(self.model, self.versions).divided(self.model, split)

    def default(self, target: Target) -> str | None:
        with target.management() as management:
            try:
                return management.describe(self.model).version
            except NotFound:
                return None

    def settled(self, now: Traffic, default: str | None) -> Traffic:
        """The settings after the removal: nothing is closed, and nothing is divided if only the default version is
        left.
        """
        opened, split = now.opened(self.model, self.versions), now.models.get(self.model)
        return opened.divided(self.model, None) if split and list(split.versions) == [default] else opened

    def unregister(self, target: Target, status: ModelStatus, undoing: Undoing) -> None:
        with target.management() as management:
            undoing.add(
                f"{target.name}: {status.name} {status.version} unregistered", lambda: bring_back(target, status)
            )
            try:
                management.unregister(self.model, status.version)
            except ClientError:
                if is_there(management, self.model, status.version):
                    raise


def is_there(management: Management, model: str, version: str) -> bool:
    try:
        management.describe(model, version)
    except NotFound:
        return False
    return True


def wait_seen(target: Target) -> None:
    """If the only model was removed, a status check may have found the server broken at that moment; the edge then lets
    no call through until the next check.
    """
    with target.management() as management:
        if not management.list_models():
            time.sleep(SEEN)


def bring_back(target: Target, status: ModelStatus) -> None:
    """Register a version as it was, if it is missing."""
    with target.management() as management:
        if not is_there(management, status.name, status.version):
            again(target, management, status)
