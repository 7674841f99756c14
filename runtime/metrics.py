"""The registry of one process: its own metrics beside what every process reports about itself.

A registry is made by whoever starts the process and passed on; the library's global one is not used, so that tests
and several components in one process do not meet in it.
"""

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

PREFIX = "nos_mig"


def new_registry(*, component: str, version: str) -> CollectorRegistry:
    """Make a registry with memory, CPU and file descriptors of the process, and what runs in it."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    info = Gauge(f"{PREFIX}_build_info", "What runs here; always 1", ["component", "version"], registry=registry)
    info.labels(component, version).set(1)
    return registry
