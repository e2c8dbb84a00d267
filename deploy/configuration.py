"""TorchServe's configuration file: the committed one with this checkout's paths and ports filled in."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.cgroup import cores, memory
from deploy.ports import HOST, Ports

SMALLEST_HEAP, SMALLEST_DIRECT = 1 << 30, 1 << 29
QUEUED = 0.75  # of the heap; the rest is for what is being received and answered
SHORTEST_QUEUE, LONGEST_QUEUE = 16, 100
FEW_THREADS, MANY_THREADS = 4, 16
PROJECT = Path(__file__).resolve().parent.parent
EDGE = "edge"  # in a run folder, what Envoy reads
TEMPLATE = PROJECT / "config.properties"


def run_folder() -> Path:
    """The working folder of this checkout's server: its state, logs and keys. BUNDLE_RUN names another."""
    return Path(os.environ.get("BUNDLE_RUN", PROJECT / ".run"))


def read(path: Path = TEMPLATE) -> dict[str, str]:
    """A properties file's keys and values."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def render(
    store: Path, ports: Ports, host: str = HOST, tokens: bool = True, models: int = 1, gpus: int = 0
) -> dict[str, str]:
    """The settings of one server.

    host: where it listens; anything but loopback must be a network that only the edge and the monitoring are in.
    tokens: whether TorchServe asks for keys; where an edge does, servers with keys of their own could not stand in for
    one another. models: how many will be served, whose queues share the heap. gpus: that workers compute on.
    """
    settings = read()
    heap = heap_bytes(memory())
    threads, options = front_end(cores(), gpus)
    return {
        "number_of_netty_threads": str(threads),
        "netty_client_threads": str(threads),
        **settings,
        "vmargs": f"{memory_options(heap)} {options} {settings['vmargs']}",
        "number_of_gpu": str(gpus),
        "job_queue_size": str(queue_length(heap, int(settings["max_request_size"]), models)),
        "inference_address": f"http://{host}:{ports.inference}",
        "management_address": f"http://{host}:{ports.management}",
        "metrics_address": f"http://{host}:{ports.metrics}",
        "grpc_inference_address": host,
        "grpc_inference_port": str(ports.grpc),
        "grpc_management_address": host,
        "grpc_management_port": str(ports.grpc_management),
        "disable_token_authorization": str(not tokens).lower(),
        "metrics_config": str(PROJECT / "deploy" / "metrics.yaml"),
        # Java decodes an address after it has compared it, so one with a percent sign or two dots must not match.
        "allowed_urls": settings["allowed_urls"].replace("model_store", str(store)),
    }


def front_end(cores: int, gpus: int) -> tuple[int, str]:
    """Threads that take requests, as many that talk to workers, and Java's options, on so many cores.

    Where workers compute on the cores, few threads do: more add switches. There the simpler compiler and collector pay:
    the second compiler works beside the first thousands of requests, half a minute of load, at 1 ms of processor time
    each, and saves 0.06 ms of each later one; together they halve the process's memory. Where GPUs compute, the cores
    are free for thousands of requests a second, with half a gigabyte of bodies: one collecting thread would hold them
    up, and 0.06 ms of each are a good part of a core. The latter is reckoned and not measured.
    """
    if not gpus:
        return FEW_THREADS, "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    return max(FEW_THREADS, min(cores, MANY_THREADS)), "-XX:+UseParallelGC" if cores > 1 else "-XX:+UseSerialGC"


def memory_options(heap: int) -> str:
    return f"-Xmx{heap >> 20}m -XX:MaxDirectMemorySize={direct_bytes(heap) >> 20}m"


def heap_bytes(memory: int) -> int:
    """Java's heap on a machine with so many bytes of memory: a quarter, as Java itself has it, but 1 GiB at least."""
    return max(SMALLEST_HEAP, memory // 4)


def direct_bytes(heap: int) -> int:
    """Java's memory outside its heap, for bodies in transit; where it is short, connections break."""
    return max(SMALLEST_DIRECT, heap // 4)


def queue_length(heap: int, largest: int, models: int) -> int:
    """Requests that may wait for each of `models`, so that the heap holds all of them at their largest (bytes).

    TorchServe counts requests and not bytes. Where the heap is too small for SHORTEST_QUEUE, it holds as many of the
    largest for some of the models alone.
    """
    return min(LONGEST_QUEUE, max(SHORTEST_QUEUE, int(QUEUED * heap / largest / max(1, models))))


def write(settings: dict[str, str], path: Path) -> None:
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
