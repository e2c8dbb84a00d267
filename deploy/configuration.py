"""TorchServe's configuration file: the committed one with this checkout's paths and ports filled in."""

from __future__ import annotations

import os
from pathlib import Path

from deploy.cgroup import cores, memory
from deploy.ports import HOST, Ports

SMALLEST_HEAP, SMALLEST_DIRECT = 1 << 30, 1 << 29
QUEUED = 0.75  # share of the heap; the rest is for requests being received and answered
SHORTEST_QUEUE, LONGEST_QUEUE = 16, 100
FEW_THREADS, MANY_THREADS = 4, 16
PROJECT = Path(__file__).resolve().parent.parent
EDGE = "edge"  # folder of Envoy's configuration in a run folder
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

    host: the address it listens on; unless loopback, it must be in a network that only the edge and monitoring reach.
    tokens: whether TorchServe asks for keys. Behind an edge it must not: servers with different keys could not replace
    each other. models: number of models whose queues share the heap. gpus: number of GPUs that workers compute on.
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
        # Java compares an address before decoding it, so one with a percent sign or two dots must not match.
        "allowed_urls": settings["allowed_urls"].replace("model_store", str(store)),
    }


def front_end(cores: int, gpus: int) -> tuple[int, str]:
    """The number of threads that accept requests, the number that talk to workers, and Java's options.

    If workers compute on the cores, a few threads are enough, and more would only add context switches. The simpler
    compiler and collector also pay off then: together they halve the process's memory. The optimising compiler costs 1
    ms of processor time for each of the first few thousand requests, half a minute of load, and saves 0.06 ms of each
    later one. If GPUs compute, the cores are free for thousands of requests per second, with half a gigabyte of bodies:
    a single collecting thread would delay them, and 0.06 ms per request add up to a good part of a core. The case with
    GPUs is estimated, not measured.
    """
    if not gpus:
        return FEW_THREADS, "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    return max(FEW_THREADS, min(cores, MANY_THREADS)), "-XX:+UseParallelGC" if cores > 1 else "-XX:+UseSerialGC"


def memory_options(heap: int) -> str:
    return f"-Xmx{heap >> 20}m -XX:MaxDirectMemorySize={direct_bytes(heap) >> 20}m"


def heap_bytes(memory: int) -> int:
    """Java's heap on a machine with so much memory, in bytes: a quarter, as Java's default, but at least 1 GiB."""
    return max(SMALLEST_HEAP, memory // 4)


def direct_bytes(heap: int) -> int:
    """Bytes of Java's memory outside its heap, for bodies in transit; connections break if it is exhausted."""
    return max(SMALLEST_DIRECT, heap // 4)


def queue_length(heap: int, largest: int, models: int) -> int:
    """The number of requests that may wait for each of `models`, so that the heap holds all of them at `largest` bytes.

    TorchServe counts requests, not bytes. If the heap is too small for SHORTEST_QUEUE, it can hold that many requests
    of the largest size only for some of the models.
    """
    return min(LONGEST_QUEUE, max(SHORTEST_QUEUE, int(QUEUED * heap / largest / max(1, models))))


def write(settings: dict[str, str], path: Path) -> None:
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
