"""A version comes into service: its archive is registered, its workers load it, it answers its own sample."""

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
from deploy.serving_plan import Machine, register, register_again, sent
from deploy.versions.default import change_default
from deploy.versions.target import Target
from deploy.versions.undoing import Tell, all_or_nothing
from trust.signature import path_of

POLL = 0.2  # seconds
DEATHS = 3  # of each worker that loads a model, until it is given up


@dataclass(frozen=True)
class Registration:
    """archive: a file on this machine, which goes into the store of a server on this machine where it is missing.

    stored: its name in the servers' stores. workers, batch_size, max_batch_delay (ms): None for what the archive asks
    for. default: whether it answers, from then on, calls that name no version. seconds: until it has to be ready.
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
        """On all targets, or on none; the model's name. Raises DeployError and ClientError."""
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
                tell(f"{target.name}: {found.name} {found.version} loads")
            for target in targets:
                wait_ready(target, found.name, found.version, self.seconds)
                wait_answer(target, found)
                tell(f"{target.name}: {found.name} {found.version} answers")
            if self.default:
                change_default(targets, found.name, found.version, undoing)
        return found.name

    def register(self, target: Target, archive: Archive) -> None:
        """Without waiting for its workers."""
        with target.management() as management:
            if target.run is not None:  # on this machine, whose cores and GPUs decide what is not named
                plan = Machine.detect().plan(archive, max(1, len(management.list_models())))
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
    """Copy an archive and its signature into the store of a server on this machine; the copy, None where it is there.

    Raises DeployError where the store has another file of that name: it may be what another version was made of.
    """
    place = to_copy(archive, target)
    if place is None:
        return None
    if path_of(archive).is_file():
        shutil.copyfile(path_of(archive), path_of(place))
    # Hidden until it is whole: a server loads what is in its store.
    partial = place.with_name(f".{archive.name}.partial")
    shutil.copyfile(archive, partial)
    partial.replace(place)
    return place


def to_copy(archive: Path, target: Target) -> Path | None:
    """Where the copy is to be; None where there is one, or the target is elsewhere. DeployError as of `bring`."""
    place = target.store / archive.name if target.store else None
    if place and place.exists():
        if place.resolve() == archive.resolve() or filecmp.cmp(place, archive, shallow=False):
            return None
        raise DeployError(f"{target.store} has another {archive.name}; give the new archive another file name")
    return place


def take_out(target: Target, model: str, version: str) -> None:
    """Unregister a version that nobody has been sent to."""
    with target.management() as management:
        try:
            management.unregister(model, version)
        except NotFound:
            return


def wait_ready(target: Target, model: str, version: str, seconds: float = LOADING) -> None:
    """Until all the workers of a version have loaded it. DeployError where they die of it, or after `seconds`."""
    end, seen = time.monotonic() + seconds, set[int]()
    with target.management() as management:
        while True:
            status = management.describe(model, version)
            if status.ready:
                return
            seen |= {worker.pid for worker in status.workers if worker.pid > 0}
            if len(seen) >= DEATHS * max(1, len(status.workers)):
                raise DeployError(
                    f"{target.name}: the workers of {model} {version} die while they load it{why(target)}"
                )
            if time.monotonic() > end:
                raise DeployError(f"{target.name}: {model} {version} is not ready after {seconds:g} s{why(target)}")
            time.sleep(POLL)


def why(target: Target) -> str:
    """The end of the workers' log, where it can be read."""
    log = target.run / "logs" / "models.log" if target.run else None
    return f"; the last lines of {log}:\n{tail(log)}" if log and log.is_file() else ""


def wait_answer(target: Target, archive: Archive) -> None:
    """Let a version answer its own sample over both protocols; one that brings none is taken to answer.

    Raises DeployError where it answers with an error.
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
