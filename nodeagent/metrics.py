"""The agent's metrics, all under `nos_mig_agent_`. Safe to observe from any thread."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from nodeagent.gpus.workers import Worker

SECONDS = (0.0005, 0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 15, 60)
"""Queries take well under a millisecond, changes 0.1 to 0.5 s, a driver in trouble anything."""


class _Running(Collector):
    """For how long the present call on each GPU has been running: a driver that hangs shows here while it hangs."""

    def __init__(self, workers: Callable[[], Mapping[int, Worker]]) -> None:
        self._workers = workers

    def collect(self) -> Iterable[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "nos_mig_agent_nvml_running_seconds",
            "For how long the call to the driver that runs now has been running; 0 when none runs",
            labels=["gpu"],
        )
        for index, worker in self._workers().items():
            gauge.add_metric([str(index)], worker.running_s)
        yield gauge


class Metrics:
    """All of them, in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._calls = Counter(
            "nos_mig_agent_nvml_calls", "Calls to the driver", ["function", "outcome"], registry=registry
        )
        self._seconds = Histogram(
            "nos_mig_agent_nvml_seconds",
            "Duration of calls to the driver",
            ["function"],
            buckets=SECONDS,
            registry=registry,
        )
        self._steps = Counter(
            "nos_mig_agent_steps",
            "Steps towards the spec, and how they came out",
            ["step", "outcome"],
            registry=registry,
        )

    def nvml_call(self, function: str, outcome: str, seconds: float) -> None:
        """Count one call."""
        self._calls.labels(function, outcome).inc()
        self._seconds.labels(function).observe(seconds)

    def step(self, step: str, outcome: str) -> None:
        """Count one step."""
        self._steps.labels(step, outcome).inc()

    def show_running(self, workers: Callable[[], Mapping[int, Worker]]) -> None:
        """Show from now on how long each GPU's present call has been running."""
        self._registry.register(_Running(workers))
