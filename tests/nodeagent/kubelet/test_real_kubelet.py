"""Against a real kubelet, scheduler and API server: what a slice's way to a container, and away again, looks like.

Each test has a profile of its own, since the kubelet keeps what was ever registered.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import pytest

from cluster import Cluster, Node
from mig.profiles import Profile, parse_profile
from tests.support.real_node import RealNode, running_beside
from tests.support.slices import device, uuid

KUBELET_SYNC_S = 10
"""How often the kubelet writes its own view of the counts."""


@pytest.fixture
async def real(clusters_node: tuple[Cluster, Node]) -> AsyncIterator[RealNode]:
    async with running_beside(*clusters_node) as real_node:
        yield real_node


def _counted(real: RealNode, profile: Profile, count: int) -> bool:
    return real.allocatable(profile) == str(count)


@pytest.mark.timeout(120)  # may build the cluster's binary's cache key and start it
async def test_offered_slice_is_counted_before_the_kubelet_reports_it(real: RealNode) -> None:
    """The Node shows a slice long before the kubelet's own report, up to 10 s later, and keeps showing it through that report."""
    profile = parse_profile("1g.10gb")
    await real.until(lambda: bool(real.shown), what="the Node is watched")
    for number in range(3):
        began = time.monotonic()
        real.kubelet.offer(device(number, profile))
        await real.until(partial(_counted, real, profile, number + 1), what="the count is shown")
        assert time.monotonic() - began < KUBELET_SYNC_S / 4  # milliseconds on a machine with nothing else to do
        assert real.kubelet.ready(uuid(number), profile)
    before = len(real.shown)
    await asyncio.sleep(KUBELET_SYNC_S + 1)
    assert {status["allocatable"][profile.resource] for _, status in real.shown[before:]} <= {"3"}
    assert real.kubelet.status.troubles == ()


async def test_pod_gets_the_claimed_slice_and_sees_its_uuid(real: RealNode) -> None:
    """The kubelet follows our preference, and `NVIDIA_VISIBLE_DEVICES` names the very slice."""
    profile = parse_profile("2g.20gb")
    for number in range(10, 14):
        real.kubelet.offer(device(number, profile))
    real.kubelet.book_preference({profile: [uuid(12)]})
    await real.until(lambda: real.kubelet.ready(uuid(13), profile), what="the slices are ready")
    await real.create_pod("chosen", profile)
    await real.wait_phase("chosen", "Running")
    assert real.container_env("chosen")["NVIDIA_VISIBLE_DEVICES"] == uuid(12)
    assert set(real.kubelet.handed_out()) == {uuid(12)}
    (assignment,) = [each for each in await real.kubelet.assigned_now() if each.pod == "chosen"]
    assert (assignment.container, assignment.resource, assignment.device_id) == ("main", profile.resource, uuid(12))
    await real.delete_pod("chosen")
    await _until_unassigned(real, "chosen")


async def _until_unassigned(real: RealNode, pod: str) -> None:
    """The API server forgets a Pod a moment before the kubelet does."""
    async with asyncio.timeout(20):
        while True:
            if not any(each.pod == pod for each in await real.kubelet.assigned_now()):
                return
            await asyncio.sleep(0.05)


async def test_pods_at_once_get_different_slices(real: RealNode) -> None:
    """Twelve Pods that come together share no slice."""
    profile = parse_profile("1g.5gb")
    for number in range(20, 32):
        real.kubelet.offer(device(number, profile))
    await real.until(lambda: real.kubelet.ready(uuid(31), profile), what="the slices are ready")
    names = [f"crowd-{number}" for number in range(12)]
    await asyncio.gather(*(real.create_pod(name, profile) for name in names))
    for name in names:
        await real.wait_phase(name, "Running")
    assert {real.container_env(name)["NVIDIA_VISIBLE_DEVICES"] for name in names} == {uuid(n) for n in range(20, 32)}
    for name in names:
        await real.delete_pod(name)


async def test_an_init_containers_slice_passes_on_within_its_pod(real: RealNode) -> None:
    """W6: the kubelet's second `Allocate` of the same id for the same Pod is not mistaken for another Pod's."""
    profile = parse_profile("3g.40gb")
    real.kubelet.offer(device(40, profile))
    await real.until(lambda: real.kubelet.ready(uuid(40), profile), what="the slice is ready")
    limits = {"limits": {profile.resource: "1"}}
    first = {"name": "first", "image": "busybox", "command": ["true"], "resources": limits}
    await real.create_pod("handover", profile, initContainers=[first])
    await real.wait_phase("handover", "Running")
    assert real.container_env("handover", "first")["NVIDIA_VISIBLE_DEVICES"] == uuid(40)
    assert real.container_env("handover")["NVIDIA_VISIBLE_DEVICES"] == uuid(40)
    await real.delete_pod("handover")


async def test_a_slice_in_use_is_refused_and_the_pod_says_why(real: RealNode) -> None:
    """S9: where the kubelet regards a slice as free that is still in use (a force-deleted Pod that dies slowly), we refuse."""
    profile = parse_profile("4g.40gb")
    real.kubelet.offer(device(50, profile))
    await real.until(lambda: real.kubelet.ready(uuid(50), profile), what="the slice is ready")
    real.kubelet.mark_in_use({uuid(50)})
    await real.create_pod("intruder", profile)
    status = await real.wait_phase("intruder", "Failed")
    assert status["reason"] == "UnexpectedAdmissionError"
    assert f"slice {uuid(50)} (4g.40gb) is still in use by another Pod" in status["message"]
    assert real.kubelet.handed_out() == {}


async def test_a_container_whose_slice_vanished_does_not_start(real: RealNode) -> None:
    """A start is held up while the slice that was handed out is not on its GPU, and happens when it is."""
    profile = parse_profile("7g.80gb")
    real.kubelet.offer(device(60, profile))
    await real.until(lambda: real.kubelet.ready(uuid(60), profile), what="the slice is ready")
    real.unverified.add(uuid(60))
    await real.create_pod("ghost", profile)
    await real.until(lambda: uuid(60) in real.kubelet.handed_out(), what="the slice is handed out")
    status = await _until_refused(real, "ghost")
    assert status["phase"] == "Pending"
    real.unverified.clear()
    await real.wait_phase("ghost", "Running", within_s=40)
    await real.delete_pod("ghost")


async def _until_refused(real: RealNode, pod: str) -> Mapping[str, Any]:
    """Wait until the Pod's status quotes our refusal to start its container."""
    async with asyncio.timeout(20):
        while True:
            status = await real.pod_status(pod)
            if "is not on its GPU any more" in str(status.get("containerStatuses")):
                return status
            await asyncio.sleep(0.05)


async def test_taking_a_slice_away_lowers_the_count_for_good(real: RealNode) -> None:
    """Held back: not allocatable, also after the kubelet wrote the old count back. Withdrawn and dropped: gone from its list."""
    profile = parse_profile("1g.20gb")
    for number in (70, 71):
        real.kubelet.offer(device(number, profile))
    await real.until(lambda: real.kubelet.ready(uuid(71), profile), what="the slices are ready")
    real.kubelet.hold_back({uuid(70)})
    await real.until(lambda: real.allocatable(profile) == "1", what="the count is lowered")
    await asyncio.sleep(KUBELET_SYNC_S + 1)
    assert real.allocatable(profile) == "1"
    real.kubelet.withdraw(uuid(70))
    await real.until(lambda: real.kubelet.counts_published(profile), what="the count stays lowered")
    assert real.kubelet.offered_now() == {uuid(71)}
    real.kubelet.hold_back(set())
    await asyncio.sleep(2)
    real.kubelet.drop(uuid(70))
    await real.until(lambda: real.shown[-1][1]["capacity"].get(profile.resource) == "1", what="capacity follows")
    assert real.allocatable(profile) == "1"


async def test_a_restarted_kubelet_gets_its_plugins_back(real: RealNode) -> None:
    """After a restart the slices are offered within seconds, running Pods keep theirs, and new ones get others."""
    profile = parse_profile("1g.12gb")
    for number in (80, 81):
        real.kubelet.offer(device(number, profile))
    await real.until(lambda: real.kubelet.ready(uuid(81), profile), what="the slices are ready")
    await real.create_pod("survivor", profile)
    await real.wait_phase("survivor", "Running")
    had = real.container_env("survivor")["NVIDIA_VISIBLE_DEVICES"]
    await asyncio.to_thread(real.node.stop_kubelet)
    await real.until(lambda: real.allocatable(profile) == "0", what="nothing is offered while the kubelet is away")
    assert real.kubelet.offered_now() == frozenset()
    assert not real.kubelet.status.reachable
    await asyncio.to_thread(real.node.restart_kubelet)
    await real.until(lambda: real.kubelet.ready(uuid(80), profile), what="the slices are offered again")
    assert real.kubelet.status == type(real.kubelet.status)(reachable=True, troubles=())
    await real.create_pod("newcomer", profile)
    await real.wait_phase("newcomer", "Running")
    assert real.container_env("newcomer")["NVIDIA_VISIBLE_DEVICES"] != had
    assert (await real.pod_status("survivor"))["phase"] == "Running"
    for name in ("survivor", "newcomer"):
        await real.delete_pod(name)


async def test_counts_of_slices_that_nobody_offers_any_more_become_zero(clusters_node: tuple[Cluster, Node]) -> None:
    """An agent that comes back without a slice (a reboot took it) zeroes what the Node still counts."""
    profile, other = parse_profile("2g.10gb"), parse_profile("3g.20gb")
    async with running_beside(*clusters_node) as real:
        real.kubelet.offer(device(90, profile))
        await real.until(lambda: real.allocatable(profile) == "1", what="the slice is counted")
    async with running_beside(*clusters_node) as real:
        real.kubelet.offer(device(91, other))
        await real.until(
            lambda: real.allocatable(profile) == "0", what="the count of the lost slice is zero", within_s=25
        )
        await real.until(lambda: real.allocatable(other) == "1", what="the other slice is counted")
