"""The chart as a user handles it: rendered by Helm without a cluster, or installed into one."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from cluster.binary import kube_binary
from cluster.cluster import Cluster
from kube.errors import Forbidden

CHART: Final = Path(__file__).parents[2] / "helm" / "nos-mig"
NAMESPACE: Final = "nos-mig"
WORKLOADS_OFF: Final = "webhook.enabled=false,allocator.enabled=false,nodeAgent.enabled=false"
NOBODY: Final = "https://127.0.0.1:1/mutate"
"""A webhook's address at which nobody answers, and at once."""
SETTLE_S: Final = 15.0
"""How long the API server may take to enforce a policy that was just stored; a second as a rule."""


class RenderError(Exception):
    """Helm refused the values; the message is what a user reads."""


def render(*arguments: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The objects of a release called nos-mig in the namespace nos-mig. Raises `RenderError`."""
    helm = [str(kube_binary()), "helm", "template", "nos-mig", str(CHART), "--namespace", NAMESPACE, "--values", "-"]
    done = subprocess.run(
        [*helm, *arguments],
        input=yaml.safe_dump(dict(values or {})),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode != 0:
        raise RenderError(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The one object of that kind and name."""
    [found] = [item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


def install(cluster: Cluster, *arguments: str) -> None:
    """Install the chart, its workloads off, and wait until MigSpecs can be created."""
    cluster.helm(
        "install",
        "nos-mig",
        str(CHART),
        "--namespace",
        NAMESPACE,
        "--create-namespace",
        "--set",
        WORKLOADS_OFF,
        *arguments,
    )
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/migspecs.nos.nebuly.com")


async def refused(attempt: Callable[[], Awaitable[object]]) -> str:
    """Try until the API server refuses, since it takes a moment to enforce what was just stored; returns its message."""
    async with asyncio.timeout(SETTLE_S):
        while True:
            try:
                await attempt()
            except Forbidden as error:
                return error.message
            await asyncio.sleep(0.1)
