"""Puts a version into service: registers its archive, waits for its workers and lets it answer its own sample."""

from __future__ import annotations

import filecmp
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from client import GrpcClient, NotFound, RestClient
from client.errors import ClientError
from client.management import LOADING, Management
from client.model_status import ModelStatus
from deploy.archive import Archive
from deploy.errors import DeployError
from deploy.readiness import WARM_UP, tail
from deploy.run_folder import variables_of
from deploy.serving_plan import Machine, register, register_again, sent
from deploy.versions.default import change_default
from deploy.versions.target import Target
from deploy.versions.undoing import Tell, all_or_nothing
from trust.signature import path_of

POLL = 0.2  # seconds
DEATHS = 3  # per worker while loading, before giving up


@dataclass(frozen=True)
class Registration:
    """archive: a file on this machine; a server on this machine gets a copy if its store has none.

    stored: its name in the servers' stores. workers, batch_size, max_batch_delay (ms): None for the archive's values.
    default: make it the default version. seconds: how long to wait until it is ready.
    """

    archive: Path
    workers: int | None = None
    batch_size: int | None = None
    max_batch_delay: int | None = None
    default: bool = False
    seconds: float = LOADING

    @property
    def stored(self) -> str:
        return self.archive.name

    def on(self, targets: list[Target], tell: Tell) -> str:
        """Register on all targets or on none, and return the model's name. Raises DeployError and ClientError."""
        found = Archive.read(self.archive)
        if found.missing:
            raise DeployError(f"{self.archive.name}: {found.missing}")
        with all_or_nothing(tell) as undoing:
            for target in targets:
                check_new(target, found)
                copy = bring(self.archive, target)
                if copy:
                    undoing.add(f"{target.name}: {copy} copied", partial(copy.unlink, missing_ok=True))
                undoing.add(
                    f"{target.name}: {found.name} {found.version} registered",
                    partial(take_out, target, found.name, found.version),
                )
                self.register(target, found)
                tell(f"{target.name}: {found.name} {found.version} is loading")
            for target in targets:
                wait_ready(target, found.name, found.version, self.seconds)
                wait_answer(target, found)
                tell(f"{target.name}: {found.name} {found.version} answers")
            if self.default:
                change_default(targets, found.name, found.version, undoing)
        return found.name

    def register(self, target: Target, archive: Archive) -> None:
        """Register without waiting for the workers."""
        with target.management() as management:
            if target.run is not None:  # on this machine: defaults depend on its cores and the server's GPUs
                plan = Machine.detect(variables_of(target.run)).plan(archive, max(1, len(management.list_models())))
                asked = {"workers": self.workers, "batch_size": self.batch_size, "delay_ms": self.max_batch_delay}
                named: dict[str, Any] = {name: number for name, number in asked.items() if number is not None}
                register(management, archive, replace(plan, **named))
                return
            delay = None if self.max_batch_delay is None else sent(management, self.max_batch_delay)
            management.register(self.stored, batch_size=self.batch_size, max_batch_delay=delay, synchronous=False)
            if self.workers:
                management.scale(archive.name, self.workers, version=archive.version, synchronous=False)


def check_new(target: Target, archive: Archive) -> None:
    with target.management() as management:
        try:
            found = management.versions(archive.name)
        except NotFound:
            return
    for each in found:
        if each.version == archive.version:
            raise DeployError(
                f"{target.name}: {archive.name} {archive.version} is registered already (from {each.archive}); "
                "a new archive needs a new version"
            )


def bring(archive: Path, target: Target) -> Path | None:
    """Copy an archive and its signature into the store of a server on this machine.

    Return the path of the copy, or None if none was needed. Raises DeployError if the store has a different file of
    that name, because another version may be using it.
    """
    place = to_copy(archive, target)
    if place is None:
        return None
    if path_of(archive).is_file():
        shutil.copyfile(path_of(archive), path_of(place))
    # Hidden until complete, because a server loads what is in its store.
    partial = place.with_name(f".{archive.name}.partial")
    shutil.copyfile(archive, partial)
    partial.replace(place)
    return place


def to_copy(archive: Path, target: Target) -> Path | None:
    """Path for the copy; None if it exists or the target is on another machine. Raises DeployError as `bring` does."""
    place = target.store / archive.name if target.store else None
    if place and place.exists():
        if place.resolve() == archive.resolve() or filecmp.cmp(place, archive, shallow=False):
            return None
        raise DeployError(f"{target.store} has a different {archive.name}; give the new archive another file name")
    return place


def take_out(target: Target, model: str, version: str) -> None:
    """Unregister a version that has received no calls."""
    with target.management() as management:
        try:
            management.unregister(model, version)
        except NotFound:
            return


def wait_ready(target: Target, model: str, version: str, seconds: float = LOADING) -> None:
    """Wait until all workers of a version have loaded it. Raises DeployError if they die of it, or after `seconds`."""
    end, seen = time.monotonic() + seconds, set[int]()
    with target.management() as management:
        while True:
            status = management.describe(model, version)
            if status.ready:
                return
            seen |= {worker.pid for worker in status.workers if worker.pid > 0}
            if len(seen) >= DEATHS * max(1, len(status.workers)):
                raise DeployError(f"{target.name}: the workers of {model} {version} die while loading it{why(target)}")
            if time.monotonic() > end:
                raise DeployError(f"{target.name}: {model} {version} is not ready after {seconds:g} s{why(target)}")
            time.sleep(POLL)


def why(target: Target) -> str:
    """The end of the workers' log, if it can be read."""
    log = target.run / "logs" / "models.log" if target.run else None
    return f"; the last lines of {log}:\n{tail(log)}" if log and log.is_file() else ""


def wait_answer(target: Target, archive: Archive) -> None:
    """Send a version its own sample over both protocols; one without a sample passes.

    Raises DeployError if it answers with an error.
    """
    if not archive.card:
        return
    with tempfile.TemporaryDirectory() as folder:
        sample = archive.sample(Path(folder))
        for kind in (RestClient, GrpcClient):
            try:
                with kind(target.server, timeout=WARM_UP) as client:
                    client.predict(archive.name, sample, version=archive.version)
            except ClientError as error:
                raise DeployError(
                    f"{target.name}: {archive.name} {archive.version} does not answer its own sample: {error}"
                ) from None


def again(target: Target, management: Management, status: ModelStatus) -> None:
    """Register a version as it was, and wait until its workers have loaded it."""
    register_again(management, status)
    wait_ready(target, status.name, status.version)
