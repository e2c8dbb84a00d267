"""Waits until models are ready: every worker has loaded its model, which has answered a warm-up request."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from client import ClientError, RestClient, RestManagement
from client.explanations import explainer_of
from client.management import Management
from deploy.archive import Archive, newest
from deploy.errors import DeployError
from deploy.gpu.device import OLDEST_DRIVER
from deploy.run_folder import running, server_of
from deploy.serving_plan import Machine, explainers, register, register_explainers

STARTING = 60.0
LOADING = 600.0
WARM_UP = 60.0
POLL = 0.2
SETTLED = 0.25  # seconds without a new line in a log
LINES_FOLLOW = 20  # times SETTLED


def load(
    run: Path,
    archives: Sequence[Path],
    tell: Callable[[str, str], None] = lambda name, state: None,
    give_up: Callable[[], bool] = lambda: False,
    built: Callable[[Path], bool] = lambda archive: True,
    leave_out: Callable[[Path, str], None] | None = None,
    explain: Collection[str] = (),
) -> dict[str, float]:
    """Register every archive with a server that was just started, and wait until each model has answered its sample.

    Returns the seconds until each model's answer.

    tell: called with (model, state) when a state changes: "waiting for its archive", "loading", "warming up", "ready".
    give_up: called now and then; once it returns True, the wait ends with the models that are ready. built: whether an
    archive exists yet; it may raise if building failed. An archive is registered as soon as it is built. leave_out:
    called with an archive that is not ours and cannot be served, and the reason; if None, such an archive is an error.
    explain: as in `deploy.serving_plan.explainers`; workers for explanations are waited for as well.

    The highest version of a model answers requests that name none.

    Raises DeployError if the server ends, a model fails to load (with the end of its log) or a warm-up is refused;
    ClientError if an archive is refused.
    """
    started = time.monotonic()
    missing = list(archives)
    loading: list[Loading] = []
    served: list[Archive] = []
    explained: list[Archive] = []
    ready: dict[str, float] = {}
    for archive in missing:
        if not built(archive):
            tell(archive.stem, "waiting for its archive")
    server = server_of(run)
    machine = Machine.detect()
    with RestManagement(server) as management, RestClient(server) as client:
        wait_listening(run, management)
        while (missing or loading) and not give_up():
            check_alive(run)
            for path in [path for path in missing if built(path)]:
                missing.remove(path)
                try:
                    found = servable(path, served)
                    plan = machine.plan(found, len(archives))
                    workers = explainers(found, explain, machine.gpus if plan.gpu else 0)
                    register(management, found, plan)
                    if workers:
                        register_explainers(management, found, workers)
                        explained.append(found)
                except (DeployError, ClientError) as error:
                    if leave_out is None or is_ours(path):
                        raise
                    leave_out(path, str(error))
                    continue
                tell(path.stem, "loading")
                served.append(found)
                loading.append(Loading(found, found.name, time.monotonic(), plan.gpu))
                if workers:
                    loading.append(Loading(found, explainer_of(found.name), time.monotonic(), plan.gpu))
            for model in list(loading):
                name, version = model.name, model.archive.version
                try:
                    check_loads(run, name)
                    if management.is_ready(name, version):
                        if not model.explains:
                            tell(model.archive.path.stem, "warming up")
                            warm_up(client, model.archive, run / "samples")
                            if model.gpu:
                                check_computes_on_gpu(management, model.archive)
                            ready[name] = time.monotonic() - started
                            tell(model.archive.path.stem, "ready")
                        loading.remove(model)
                    elif time.monotonic() - model.since > LOADING:
                        raise DeployError(f"{name} is not ready after {LOADING:g} s; see {run / 'logs'}")
                except DeployError as error:
                    if leave_out is None or model.archive.card:
                        raise
                    loading.remove(model)
                    management.unregister(name, version)
                    if not model.explains:
                        served.remove(model.archive)
                    leave_out(model.archive.path, str(error))
            time.sleep(POLL if missing or loading else 0)
        for name, latest in newest(served).items():
            if sum(other.name == name for other in served) > 1:
                management.set_default(name, latest.version)
                if latest in explained:
                    management.set_default(explainer_of(name), latest.version)
    return ready


def servable(path: Path, served: Sequence[Archive]) -> Archive:
    """The archive, if TorchServe can serve it beside the others. Raises DeployError."""
    found = Archive.read(path)
    if found.missing:
        raise DeployError(f"{path.name}: {found.missing}")
    for other in served:
        if (other.name, other.version) == (found.name, found.version):
            raise DeployError(
                f"{path.name} and {other.path.name} both hold {found.name} {found.version}; give one another version"
            )
    return found


def is_ours(path: Path) -> bool:
    try:
        return bool(Archive.read(path).card)
    except DeployError:
        return False


@dataclass(frozen=True)
class Loading:
    """A model that has been registered. name: its own, or that of its explanations. since: when, by the monotonic
    clock. gpu: whether it is to compute on one."""

    archive: Archive
    name: str
    since: float
    gpu: bool

    @property
    def explains(self) -> bool:
        return self.name != self.archive.name


def wait_listening(run: Path, management: Management) -> None:
    """Wait until a started server accepts calls: at first it has no port, then no keys."""
    end = time.monotonic() + STARTING
    while True:
        check_alive(run)
        try:
            management.list_models()
            return
        except ClientError:
            if time.monotonic() > end:
                raise DeployError(f"the server takes no calls after {STARTING:g} s; see {run / 'logs'}") from None
            time.sleep(POLL)


def warm_up(client: RestClient, archive: Archive, folder: Path) -> None:
    """Let the model answer its sample; without a sample it counts as answering once its workers have loaded it."""
    if not archive.card:
        return
    try:
        client.predict(archive.name, archive.sample(folder), version=archive.version, timeout=WARM_UP)
    except ClientError as error:
        raise DeployError(f"{archive.name} does not answer its own sample: {error}") from None


def check_computes_on_gpu(management: Management, archive: Archive) -> None:
    """Raises DeployError if a worker loaded the model on the CPU nevertheless; only a card can tell."""
    card = management.describe(archive.name, archive.version, card=True).card if archive.card else None
    device = str(((card or {}).get("runtime") or {}).get("device", ""))
    if device.startswith("cpu"):
        raise DeployError(
            f"{archive.name} is to compute on a GPU, but its worker does on the CPU: torch there finds none. "
            f"CUDA 13.0 needs driver {OLDEST_DRIVER} or newer and compute capability 7.5 or newer; "
            "`python -m deploy doctor` looks for the cause, and CUDA_VISIBLE_DEVICES= serves on the CPU"
        )


def check_alive(run: Path) -> None:
    if running(run) is None:
        raise DeployError(f"the server ended while starting:\n{tail(run / 'logs' / 'console.log')}")


def check_loads(run: Path, name: str) -> None:
    """Report at once why a worker died while loading: TorchServe would restart it again and again, for minutes."""
    log = run / "logs" / "models.log"
    lines = worker_lines(log, name)
    if not any("Backend worker process died" in line for line in lines):
        return
    for _ in range(LINES_FOLLOW):  # the reason follows, line by line
        before, lines = lines, worker_lines(log, name, after=SETTLED)
        if lines == before:
            break
    said = "\n".join(line.partition(" - ")[2] for line in lines[-12:])
    raise DeployError(f"{name} cannot be loaded; its worker said:\n{said}\n(all of it is in {log})")


def worker_lines(log: Path, name: str, after: float = 0.0) -> list[str]:
    """The last lines of a model's workers, after some seconds."""
    time.sleep(after)
    text = log.read_text("utf-8", "replace") if log.is_file() else ""
    return [line for line in text.splitlines() if re.search(rf" W-\d+-{name}_", line)]


def tail(path: Path, lines: int = 12) -> str:
    """The end of a log without the frames of Java's stack traces, which would displace the reason."""
    text = path.read_text("utf-8", "replace") if path.is_file() else ""
    return "\n".join([line for line in text.splitlines() if not line.startswith("\tat ")][-lines:])
