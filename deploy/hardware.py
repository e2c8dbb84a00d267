"""The machine a server runs on, for Prometheus: cores, memory, GPUs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import psutil
import pynvml
from prometheus_client.core import GaugeMetricFamily, Metric


class Hardware:
    """A collector for prometheus_client's registry; utilisation covers the time since the previous collection."""

    def __init__(self) -> None:
        psutil.cpu_percent()
        self.gpus: dict[int, Any] = {}
        with suppress(pynvml.NVMLError):  # no driver, and so no GPU
            pynvml.nvmlInit()
            for index in range(pynvml.nvmlDeviceGetCount()):
                with suppress(pynvml.NVMLError):  # it has fallen off the bus
                    self.gpus[index] = pynvml.nvmlDeviceGetHandleByIndex(index)

    def collect(self) -> Iterable[Metric]:
        """A value that a GPU does not report has no sample: in MIG mode the utilisation, of a lost GPU all."""
        memory = psutil.virtual_memory()
        yield GaugeMetricFamily("bundle_cpu_utilization", "0 to 1, over all cores.", value=psutil.cpu_percent() / 100)
        yield GaugeMetricFamily("bundle_memory_used_bytes", "Of the machine.", value=memory.total - memory.available)
        yield GaugeMetricFamily("bundle_memory_utilization", "0 to 1.", value=memory.percent / 100)
        busy = GaugeMetricFamily("bundle_gpu_utilization", "0 to 1, of the time.", labels=["device"])
        used = GaugeMetricFamily("bundle_gpu_memory_used_bytes", "By all processes.", labels=["device"])
        share = GaugeMetricFamily("bundle_gpu_memory_utilization", "0 to 1.", labels=["device"])
        for index, gpu in self.gpus.items():
            with suppress(pynvml.NVMLError):
                busy.add_metric([str(index)], pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100)
            with suppress(pynvml.NVMLError):
                held = pynvml.nvmlDeviceGetMemoryInfo(gpu)
                used.add_metric([str(index)], held.used)
                share.add_metric([str(index)], held.used / held.total)
        yield from (busy, used, share)
