"""Brings a new version into service step by step, or rolls it back; each phase can be restarted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from client import ClientError, NotFound
from deploy.archive import Archive
from deploy.edge.traffic import Split
from deploy.errors import DeployError
from deploy.versions import edge
from deploy.versions.default import make_default
from deploy.versions.registration import Registration, to_copy, wait_answer, wait_ready
from deploy.versions.removal import Removal
from deploy.versions.rollout.calls import CallLog
from deploy.versions.rollout.judge import Judge, Limits
from deploy.versions.rollout.predicted import PredictedClasses
from deploy.versions.rollout.shadow import Shadow
from deploy.versions.rollout.state import Phase, State, StateFile
from deploy.versions.target import Target, edges
from deploy.versions.undoing import Tell

TICK = 1.0  # seconds between two evaluations
LAG = 1.5  # seconds after the longest call until workers have reported their predictions
MIN_CALLS = 20  # of the new version, required to end a step
POINTS = 1000  # of the timeline; beyond that, every second one is dropped


@dataclass
class Controller:
    """Runs one rollout and writes its state after each change. look: called with each new state."""

    targets: list[Target]
    file: StateFile
    state: State
    tell: Tell
    look: Callable[[State], None] = lambda state: None
    judge: Judge = field(init=False)
    logs: list[CallLog] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        plan = self.state.plan
        limits = Limits(plan.max_error_ratio, plan.max_p99)
        self.judge = Judge.from_json(limits, self.state.judge) if self.state.judge else Judge(limits)

    def run(self) -> State:
        """Run to the end and return the final state. Any error before the promotion causes a rollback."""
        phases = {
            Phase.REGISTER: self.register,
            Phase.SHADOW: self.shadow,
            Phase.STEPS: self.steps,
            Phase.PROMOTE: self.promote,
            Phase.ROLL_BACK: self.roll_back,
        }
        while not self.state.phase.is_end:
            phase = self.state.phase
            try:
                following, reason = phases[phase]()
            except (DeployError, ClientError) as error:
                if phase in (Phase.PROMOTE, Phase.ROLL_BACK):
                    raise
                following, reason = Phase.ROLL_BACK, str(error)
            self.go_to(following, reason)
        return self.state

    def go_to(self, phase: Phase, reason: str = "") -> None:
        self.state.phase = phase
        self.state.reason = reason or self.state.reason
        if phase is Phase.ROLL_BACK:
            self.tell(f"{self.state.model} {self.state.new} is being rolled back: {self.state.reason}")
        if phase.is_end:
            self.state.ended = time.time()
        self.save()

    def save(self) -> None:
        self.state.judge = self.judge.to_json()
        self.file.write(self.state)
        self.look(self.state)

    def register(self) -> tuple[Phase, str]:
        archive = Path(self.state.archive)
        missing = [each for each in self.targets if not self.has(each, self.state.new)]
        self.state.copies += [str(place) for each in missing if (place := to_copy(archive, each))]
        self.save()
        if missing:
            with missing[0].management() as management:
                workers = management.describe(self.state.model, self.state.old).min_workers
            Registration(archive, workers=max(1, workers)).on(missing, self.tell)
        for target in self.targets:
            wait_ready(target, self.state.model, self.state.new)
            wait_answer(target, Archive.read(archive))
        return (Phase.SHADOW if self.state.plan.shadow else Phase.STEPS), ""

    def shadow(self) -> tuple[Phase, str]:
        """Let both versions answer copies of calls; callers get their usual answers."""
        self.divide(0)
        with Shadow(self.targets, self.state, self.tell) as shadow:
            agreement = shadow.compare(self.save)
        return (Phase.ROLL_BACK, agreement) if agreement else (Phase.STEPS, "")

    def steps(self) -> tuple[Phase, str]:
        time.sleep(LAG)  # until the log has the calls that checked the new version's answers
        self.logs = [CallLog(log) for target in edges(self.targets) if (log := target.log)]
        while self.state.step < len(self.state.plan.steps):
            objection = self.hold(self.state.plan.steps[self.state.step])
            if objection:
                return Phase.ROLL_BACK, objection
            self.state.step += 1
            self.save()
        return Phase.PROMOTE, ""

    def hold(self, percent: float) -> str:
        """Run one step. Return the reason for a rollback, or ""."""
        last = self.state.step == len(self.state.plan.steps) - 1
        self.divide(percent)
        began, before = time.time(), self.judge.new.calls
        predicted = PredictedClasses([page for each in self.targets if (page := each.metrics)], self.state.model)
        predicted.skip()
        while True:
            time.sleep(TICK)
            if not self.take():
                predicted.of_one = False
            elapsed = time.time() - began
            if elapsed < LAG + self.judge.old.quantile(0.99) / 1000:
                predicted.skip()
            else:
                self.compare_classes(predicted, percent / 100)
            self.note(percent)
            objection = self.judge.objection()
            if objection:
                return objection
            seen = self.judge.new.calls - before
            if elapsed >= self.state.plan.hold and seen >= MIN_CALLS and (not last or self.judge.is_proven):
                return ""
            if elapsed > max(self.state.plan.patience, self.state.plan.hold):
                return f"too few calls to judge by: {seen} in {elapsed:.0f} s at {percent:g} %"

    def take(self) -> bool:
        """Whether all calls since the last time were assigned at random: workers count the classes of every call."""
        calls = [call for log in self.logs for call in log.calls(self.state.model)]
        for call in calls:
            if call.shares and call.version in (self.state.new, self.state.old):
                self.judge.add(call, call.version == self.state.new, call.shares.get(self.state.new, 0.0))
        return all(call.shares for call in calls)

    def compare_classes(self, predicted: PredictedClasses, share: float) -> None:
        found = predicted.since()
        for name in sorted({label for _, label in found}):
            self.judge.classes.add(name, share, found[self.state.new, name], found[self.state.old, name])

    def note(self, percent: float) -> None:
        judge = self.judge
        versions = {
            name: {
                "calls": tally.calls,
                "bad": tally.failed + tally.refused,
                "p50": tally.quantile(0.5),
                "p99": tally.quantile(0.99),
            }
            for name, tally in (("new", judge.new), ("old", judge.old))
        }
        timeline = self.state.timeline
        timeline.append({"at": time.time(), "share": percent, **versions, "evidence": judge.evidence()})
        if len(timeline) > POINTS:
            del timeline[::2]
        self.save()

    def divide(self, percent: float) -> None:
        """Give the new version its share on all edges."""
        versions = {self.state.old: 100 - percent, self.state.new: percent}
        split = Split(versions=versions, sticky=self.state.plan.sticky)
        for target in edges(self.targets):
            edge.change(target, lambda now: now.divided(self.state.model, split))
        self.tell(f"{self.state.model} {self.state.new} gets {percent:g} % of the calls")

    def promote(self) -> tuple[Phase, str]:
        self.divide(100)
        for target in self.targets:
            make_default(target, self.state.model, self.state.new)
        self.remove(self.state.old)
        return Phase.PROMOTED, ""

    def roll_back(self) -> tuple[Phase, str]:
        state = self.state
        old = [each for each in self.targets if self.has(each, state.old)]
        if len(old) < len(self.targets):
            raise DeployError(f"{state.model} {state.old} no longer exists, so there is nothing to go back to")
        self.divide(0)
        for target in self.targets:
            make_default(target, state.model, state.old)
        self.remove(state.new)
        for copy in state.copies:
            Path(copy).unlink(missing_ok=True)
        return Phase.ROLLED_BACK, ""

    def remove(self, version: str) -> None:
        """Drain and unregister a version if it exists; the other one then answers all calls as the default."""
        there = [target for target in self.targets if self.has(target, version)]
        if there:
            Removal(self.state.model, version).on(there, self.tell)
        for target in edges(self.targets):
            edge.change(target, lambda now: now.divided(self.state.model, None))

    def has(self, target: Target, version: str) -> bool:
        with target.management() as management:
            try:
                return any(each.version == version for each in management.versions(self.state.model))
            except NotFound:
                return False
