"""Asks driver, API server, ledger and kubelet, all at once, each with a deadline. Changes nothing anywhere.

The driver is read through the agent's own `NvmlDriver`, which other processes may use at the same time. Who holds a device is
read from the kubelet's checkpoint, not by PodResources' `List`: that one, while the kubelet allocates, can make it offer a
device twice, and from here nobody knows when it does. The file has the Pods' uids, too.
"""

import asyncio
import functools
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from kube.client import Api
from kube.errors import ApiError, NotFound
from kube.resource import NODES, PODS
from mig.migspec import MigSpec
from mig.migspec_json import MigSpecError, migspec_from_json
from mig.profiles import is_mig_resource
from nodeagent.gpus.driver import Driver, DriverError
from nodeagent.gpus.ledger import LedgerError, Stored, load
from nodeagent.gpus.workers import Worker
from nodeagent.inspection.values import DriverReading, GpuReading, Holding, Sources, Unread
from nodeagent.kubelet.counts import Counts, counts_of
from nodeagent.kubelet.podresources import AllocationGate, KubeletError, PodResources
from nodeagent.pods import PodView, pod_from_json
from nodeagent.telling.publisher import MIGSPECS

DRIVER_S: Final = 60.0
"""Opening the first session on a full node without the persistence daemon takes tens of seconds; so long a GPU may take, too."""

FILE_S: Final = 5.0

CHECKPOINT: Final = "kubelet_internal_checkpoint"

T = TypeVar("T")


async def read_sources(
    node: str,
    *,
    api: Api | Unread,
    driver: Driver,
    boot_id: str,
    ledger: Path,
    device_plugin_dir: Path,
    pod_resources_socket: Path,
    beside_nvidia: bool,
) -> Sources:
    """Ask everybody at once."""
    async with asyncio.TaskGroup() as tasks:
        driver_read = tasks.create_task(_read_driver(driver))
        migspec = tasks.create_task(_of_api(api, functools.partial(_read_migspec, node)))
        counts = tasks.create_task(_of_api(api, functools.partial(_read_counts, node)))
        pods = tasks.create_task(_of_api(api, functools.partial(_read_pods, node)))
        entries = tasks.create_task(_read_file(functools.partial(_read_ledger, ledger)))
        offered = tasks.create_task(_read_offers(pod_resources_socket))
        holdings = tasks.create_task(_read_file(functools.partial(read_holdings, device_plugin_dir / CHECKPOINT)))
    return Sources(
        node=node,
        boot_id=boot_id,
        driver=driver_read.result(),
        migspec=migspec.result(),
        counts=counts.result(),
        pods=pods.result(),
        ledger=entries.result(),
        offered=offered.result(),
        holdings=holdings.result(),
        beside_nvidia=beside_nvidia,
    )


async def _read_driver(driver: Driver) -> DriverReading | Unread:
    try:
        facts = await Worker("nvml").call(driver.start, deadline_s=DRIVER_S)
    except DriverError as error:
        return Unread(str(error))
    gpus = await asyncio.gather(*(_read_gpu(driver, index) for index in range(facts.gpu_count)))
    return DriverReading(facts.version, dict(enumerate(gpus)))


async def _read_gpu(driver: Driver, index: int) -> GpuReading | Unread:
    def everything() -> GpuReading:
        gpu = driver.gpu(index)
        return GpuReading(gpu, driver.instances(gpu), driver.processes(gpu))

    try:
        return await Worker(f"nvml-gpu-{index}").call(everything, deadline_s=DRIVER_S)
    except DriverError as error:
        return Unread(str(error))


async def _of_api(api: Api | Unread, read: Callable[[Api], Awaitable[T]]) -> T | Unread:
    if isinstance(api, Unread):
        return api
    try:
        return await read(api)
    except (ApiError, MigSpecError) as error:
        return Unread(str(error))


async def _read_migspec(node: str, api: Api) -> MigSpec | None:
    try:
        return migspec_from_json(await api.get(MIGSPECS, node))
    except NotFound:
        return None


async def _read_counts(node: str, api: Api) -> Counts:
    return counts_of(await api.get(NODES, node))


async def _read_pods(node: str, api: Api) -> Mapping[str, PodView]:
    found, _ = await api.list(PODS, field_selector=f"spec.nodeName={node}")
    return {pod.uid: pod for pod in map(_pod, found)}


def _pod(obj: Mapping[str, Any]) -> PodView:
    try:
        return pod_from_json(obj)
    except ValueError:  # what it asks for cannot be read, but it may hold a device all the same
        bare = {**obj, "spec": {"containers": []}}
        return pod_from_json(bare)


async def _read_file(read: Callable[[], T | Unread]) -> T | Unread:
    try:
        async with asyncio.timeout(FILE_S):
            return await asyncio.to_thread(read)
    except TimeoutError:
        return Unread(f"not within {FILE_S:g} s")


def _read_ledger(path: Path) -> Stored | Unread:
    try:
        stored = load(path)
    except LedgerError as error:
        return Unread(str(error))
    return stored or Unread(f"there is no {path}: no agent has run with this state folder (--state-dir)")


def read_holdings(path: Path) -> tuple[Holding, ...] | Unread:
    """Read which container has which MIG device from the kubelet's checkpoint; its format is the kubelet's own affair."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["Data"]["PodDeviceEntries"] or []
        return tuple(
            Holding(entry["PodUID"], entry["ContainerName"], device_id)
            for entry in entries
            if is_mig_resource(entry["ResourceName"])
            for device_ids in (entry["DeviceIDs"] or {}).values()
            for device_id in device_ids
        )
    except OSError as error:
        return Unread(f"{path} cannot be read: {error.strerror}; is the kubelet's folder mounted, and is this root?")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Unread(f"{path} is not as kubelets have written it so far: {type(error).__name__}: {error}")


async def _read_offers(socket: Path) -> Mapping[str, frozenset[str]] | Unread:
    pod_resources = PodResources(socket, gate=AllocationGate(clock=time.monotonic))
    try:
        return await pod_resources.allocatable()
    except KubeletError as error:
        return Unread(str(error))
    finally:
        await pod_resources.close()
