"""Adds or removes workers without failing a call."""

from __future__ import annotations

import time
from dataclasses import dataclass

from client.management import LOADING
from client.model_status import ModelStatus
from deploy.edge import traffic
from deploy.edge.traffic import LONGEST_HOLD, Hold
from deploy.errors import DeployError
from deploy.versions import edge
from deploy.versions.quiet import wait_quiet
from deploy.versions.registration import wait_ready
from deploy.versions.target import Target, edges
from deploy.versions.undoing import Tell, Undoing, all_or_nothing

MARGIN = 0.5  # seconds of a hold reserved for the change itself
UNSAFE = (
    "TorchServe stops a worker together with its calls, and without an edge nothing keeps calls away: some may get "
    '500 "Worker died"; --force scales all the same'
)


@dataclass(frozen=True)
class Scaling:
    """version: None for the default version.

    hold: seconds for which calls are delayed while workers stop. force: proceed even without an edge. seconds: how long
    to wait until new workers are ready.
    """

    model: str
    workers: int
    version: str | None = None
    hold: float = 5.0
    force: bool = False
    seconds: float = LOADING

    def on(self, targets: list[Target], tell: Tell) -> None:
        """Scale on all targets or on none. Raises DeployError and ClientError."""
        found = {}
        for target in targets:
            with target.management() as management:
                found[target.name] = management.describe(self.model, self.version)
        fewer = [target for target in targets if found[target.name].max_workers > self.workers]
        more = [target for target in targets if found[target.name].min_workers < self.workers and target not in fewer]
        for target in fewer:
            if target.settings is None and not self.force:
                raise DeployError(f"{target.name}: {UNSAFE}")
        with all_or_nothing(tell) as undoing:
            for target in more:
                self.add_workers(target, found[target.name], undoing)
            self.take_away(fewer, found, undoing, tell)

    def add_workers(self, target: Target, before: ModelStatus, undoing: Undoing) -> None:
        def undo() -> None:
            Scaling(self.model, before.min_workers, before.version, self.hold, self.force).on([target], undoing.tell)

        undoing.add(f"{target.name}: {self.workers} workers of {self.model} {before.version}", undo)
        scale(target, before, self.workers)
        wait_ready(target, self.model, before.version, self.seconds)

    def take_away(self, targets: list[Target], found: dict[str, ModelStatus], undoing: Undoing, tell: Tell) -> None:
        """Stop workers while no call is at a server."""
        for target in targets:
            if target.settings is None:
                self.end_workers(target, found[target.name], undoing)
        for each in edges(targets):
            self.wait_for_earlier(each, tell)
            began = time.time()
            edge.change(each, lambda now: now.holding(self.model, Hold(seconds=self.hold, until=began + self.hold)))  # noqa: B023
            try:
                for target in [target for target in targets if target.settings == each.settings]:
                    left = began + self.hold - MARGIN - time.time()
                    with target.management() as management:
                        wait_quiet(target, management, self.model, None, seconds=max(0.0, left))
                    if time.time() > began + self.hold - MARGIN:
                        raise DeployError(f"{target.name}: {self.model} still had calls")
                    self.end_workers(target, found[target.name], undoing)
            except DeployError as error:
                raise DeployError(
                    f"{error}. Calls were delayed by {self.hold:g} s; --hold takes up to {LONGEST_HOLD:g}"
                ) from None
            finally:
                edge.change(each, lambda now: now.holding(self.model, Hold(seconds=self.hold, until=time.time())))
            tell(
                f"{each.name}: {self.model} has {self.workers} workers; calls were delayed by {self.hold:g} s meanwhile"
            )

    def wait_for_earlier(self, target: Target, tell: Tell) -> None:
        """Calls that an earlier change delayed would arrive while this one stops workers."""
        hold = traffic.read(target.traffic).held.get(self.model)
        left = hold.end - time.time() if hold else 0.0
        if left > 0:
            tell(f"{target.name}: waiting {left:.0f} s for calls that an earlier change delayed")
            time.sleep(left)

    def end_workers(self, target: Target, before: ModelStatus, undoing: Undoing) -> None:
        undoing.add(
            f"{target.name}: {self.workers} workers of {self.model} {before.version}",
            lambda: scale(target, before, before.min_workers, before.max_workers),
        )
        scale(target, before, self.workers, synchronous=True)


def scale(
    target: Target, status: ModelStatus, workers: int, most: int | None = None, *, synchronous: bool = False
) -> None:
    with target.management() as management:
        management.scale(status.name, workers, most, version=status.version, synchronous=synchronous)
