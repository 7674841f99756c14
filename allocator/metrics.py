"""The allocator's metrics, all named `nos_mig_allocator_…`."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Total

from allocator.placement.fleet import Reason

_PREFIX: Final = "nos_mig_allocator"
_ROUND_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_WAY_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class Metrics:
    """What the allocator counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.leading = Gauge(f"{_PREFIX}_leading", "Whether this process leads", registry=registry)
        self.epoch = Gauge(f"{_PREFIX}_epoch", "Epoch of the term in which it leads; 0 before", registry=registry)
        self.rounds = Total(f"{_PREFIX}_rounds", "Rounds decided", registry=registry)
        self.round_seconds = Histogram(
            f"{_PREFIX}_round_seconds", "Time to decide one round", buckets=_ROUND_S, registry=registry
        )
        self.writes = Total(
            f"{_PREFIX}_writes",
            "Writes carried out, by kind and result (ok, or the error's name)",
            ["kind", "result"],
            registry=registry,
        )
        self.way = Histogram(
            f"{_PREFIX}_pod_seconds",
            "Time from first seeing a Pod to a step of its way (reserved, ready, released)",
            ["step"],
            buckets=_WAY_S,
            registry=registry,
        )
        self.waiting = Gauge(
            f"{_PREFIX}_waiting_pods",
            "Pods not bound yet, by the reason that they are told",
            ["reason"],
            registry=registry,
        )
        self.geometries_valid = Gauge(
            f"{_PREFIX}_geometries_valid",
            "Whether the geometries' ConfigMap as it stands is in force",
            registry=registry,
        )
        self.watch_failures = Gauge(
            f"{_PREFIX}_watch_failures", "Failures in a row to watch a resource", ["resource"], registry=registry
        )
        self.geometries_valid.set(1)

    def waits(self, reasons: Iterable[Reason]) -> None:
        """Say how many Pods wait, and for what."""
        counts = Counter(reasons)
        for reason in Reason:
            self.waiting.labels(reason.value).set(counts[reason])
