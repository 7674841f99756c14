"""The Pods of NVIDIA's device plugin on this node: which run, since when, and how to have them started anew.

A watch for each label selector keeps them known, since each way to install the plugin gives its Pods other labels; deleting one
lets its DaemonSet make the next, whose process enumerates. It promises to delete only the very Pod that it saw, on this node (the
API server refuses any other), and decides nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from kube.client import Api
from kube.errors import ApiError, Conflict, Forbidden, NotFound
from kube.listwatch import Trouble, list_watch
from kube.resource import PODS
from kube.watchstate import Delete, Rejected, Synced, Upsert

log = logging.getLogger(__name__)

DELETE_S: Final = 5.0
"""Deadline of one deletion; the Pod then ends in its own grace period."""

COMPANIONS: Final = ("gpu-feature-discovery", "mps-control-daemon")
"""How the containers' names begin of Pods that bear the plugin's labels, by NVIDIA's chart, and offer nothing to the kubelet."""

LONG_AGO: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class PluginPod:
    """One Pod of the plugin. `restarts` counts starts of its containers beyond the first, each of which enumerates."""

    namespace: str
    name: str
    uid: str
    running: bool
    terminating: bool
    restarts: int
    why: str
    """Why it does not run, in the kubelet's words."""
    companion: bool = False
    """Whether it is installed with the plugin, and is something else."""

    @property
    def process(self) -> tuple[str, int]:
        """What tells one start of the plugin from the next."""
        return self.uid, self.restarts


def plugin_pod(obj: Mapping[str, Any]) -> PluginPod:
    """Read a Pod of the API server."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    containers = status.get("containerStatuses") or []
    names = [str(item.get("name")) for item in (obj.get("spec") or {}).get("containers") or []]
    states = [item.get("state") or {} for item in containers]
    waits = [state[kind] for state in states for kind in ("waiting", "terminated") if kind in state]
    reasons = [" ".join(filter(None, (item.get("reason"), item.get("message")))) for item in waits]
    return PluginPod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        running=status.get("phase") == "Running" and all("running" in state for state in states),
        terminating="deletionTimestamp" in metadata,
        restarts=sum(int(item.get("restartCount") or 0) for item in containers),
        why="; ".join(filter(None, reasons)) or str(status.get("reason") or status.get("phase") or "Pending"),
        companion=any(name.startswith(COMPANIONS) for name in names),
    )


class PluginPods:
    """The plugin's Pods here. `run` keeps them known; `on_change` is called at each change."""

    def __init__(
        self,
        api: Api,
        *,
        node_name: str,
        namespace: str,
        selectors: Sequence[str],
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        """`namespace` may be empty, for all. A Pod is the plugin's that one of `selectors` matches."""
        self._api = api
        self._node_name = node_name
        self._namespace = namespace
        self._clock = clock
        self._on_change = on_change
        self._found: dict[str, dict[str, PluginPod]] = {selector: {} for selector in selectors}
        self._unsynced = set(selectors)
        self._troubles: dict[str, Trouble] = {}
        self._running_since: dict[tuple[str, int], float] = {}
        self._deleted: set[str] = set()

    @property
    def where(self) -> str:
        """Where they are looked for."""
        namespace = f"namespace {self._namespace}" if self._namespace else "any namespace"
        return f"in {namespace}, by the labels {' or '.join(map(repr, self._found))}"

    @property
    def synced(self) -> bool:
        """Whether all that there are were seen."""
        return not self._unsynced

    @property
    def trouble(self) -> str | None:
        """Why they are not known, in a sentence."""
        some = next(iter(self._troubles.values()), None)
        return f"the Pods of NVIDIA's device plugin are not known: {some}" if some else None

    @property
    def alive(self) -> tuple[PluginPod, ...]:
        """Those that are not on their way out."""
        pods = {uid: pod for found in self._found.values() for uid, pod in found.items()}
        return tuple(pod for pod in pods.values() if not pod.terminating and pod.uid not in self._deleted)

    @property
    def process(self) -> tuple[str, int] | None:
        """The start of the plugin that is at work here now: the last one."""
        running = [pod.process for pod in self.alive if pod.running]
        return max(running, key=lambda process: self._running_since[process], default=None)

    @property
    def running_since(self) -> float | None:
        """When that was first seen to run, by our clock; long ago for one that was here before us."""
        process = self.process
        return None if process is None else self._running_since[process]

    async def run(self) -> None:
        """Watch. Eternal."""
        async with asyncio.TaskGroup() as tasks:
            for selector in self._found:
                tasks.create_task(self._follow(selector), name=f"plugin-pods {selector}")

    async def start_anew(self) -> None:
        """Delete each that runs, so that another comes. Raises `ApiError`."""
        for pod in filter(attrgetter("running"), self.alive):
            try:
                await self._api.delete(PODS, pod.name, namespace=pod.namespace, uid=pod.uid, timeout_s=DELETE_S)
            except (NotFound, Conflict):
                continue  # gone already, or a namesake that came after it
            self._deleted.add(pod.uid)
            log.info("NVIDIA's device plugin has to enumerate again: deleted its Pod %s/%s", pod.namespace, pod.name)

    async def _follow(self, selector: str) -> None:
        watch = list_watch(
            self._api,
            PODS,
            decode=plugin_pod,
            namespace=self._namespace or None,
            label_selector=selector,
            field_selector=f"spec.nodeName={self._node_name}",
            on_trouble=lambda trouble: self._watch_trouble(selector, trouble),
        )
        async with aclosing(watch) as events:
            async for event in events:
                match event:
                    case Upsert(obj=pod):
                        self._seen(selector, pod)
                    case Delete(obj=pod):
                        self._lost(selector, pod.uid)
                    case Rejected(key=key, error=error):
                        log.warning("Pod %s cannot be read: %s", key, error)
                    case Synced():
                        self._unsynced.discard(selector)
                self._on_change()

    def _seen(self, selector: str, pod: PluginPod) -> None:
        if pod.companion:
            return
        self._found[selector][pod.uid] = pod
        if pod.running:
            self._running_since.setdefault(pod.process, self._clock() if self.synced else LONG_AGO)
        known = {each.process for found in self._found.values() for each in found.values()}
        self._running_since = {process: at for process, at in self._running_since.items() if process in known}

    def _lost(self, selector: str, uid: str) -> None:
        self._found[selector].pop(uid, None)
        if not any(uid in found for found in self._found.values()):
            self._deleted.discard(uid)

    def _watch_trouble(self, selector: str, trouble: Trouble | None) -> None:
        if trouble is None:
            self._troubles.pop(selector, None)
        else:
            self._troubles[selector] = trouble
        self._on_change()


def refusal(error: ApiError) -> str:
    """Why the plugin could not be started anew, and what to do."""
    todo = (
        "install the chart with nodeAgent.devicePlugin=nvidia, and name the plugin's namespace in "
        "nodeAgent.nvidiaDevicePlugin.namespace or leave it empty"
        if isinstance(error, Forbidden)
        else "trying again"
    )
    return f"NVIDIA's device plugin cannot be made to enumerate again ({error}); {todo}"
