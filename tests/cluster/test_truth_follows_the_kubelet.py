"""Claims follow what really happened: where Pods were bound, which slice they got, who is gone, what was deleted by hand."""

import asyncio
from typing import Any

from demo.onlooker import MIGSPECS
from kube.errors import Unavailable
from mig.migspec import SliceState
from tests.cluster.conftest import A, B
from tests.cluster.world import World, pod

ON_A = {"kubernetes.io/hostname": A}


def claimed_devices(here: World, node: str) -> dict[str, tuple[str, str, int]]:
    """Pod → (GPU, profile, start) by the claims of a node."""
    return {
        claim.pod: (gpu.uuid, str(item.profile), item.window.start)
        for gpu, item, claim in here.migspec(node).spec.claims()
    }


async def test_claims_and_annotations_name_the_slices_that_containers_really_have(here: World) -> None:
    """S7 on one node: the kubelet chooses among equal slices, and the claims are matched to its choice."""
    names = [f"equal-{n}" for n in range(6)]
    await here.create(*(pod(name, "1g.10gb", nodeSelector=ON_A) for name in names))
    await here.running(*names)

    def agree() -> bool:
        hardware, claimed = here.hardware(A), claimed_devices(here, A)
        return all(
            hardware[here.device(A, name)] == claimed.get(name)
            and here.track(name).allocation["main"]["start"] == claimed[name][2]
            and here.track(name).allocation["main"]["gpu"] == claimed[name][0]
            for name in names
        )

    await here.poll(agree, "claims, annotations and devices agree")


async def test_a_pod_that_the_scheduler_will_not_bind_is_given_a_slice_elsewhere(here: World) -> None:
    """S8: inter-Pod anti-affinity, which the allocator does not evaluate, keeps the Pod off the node of its first slice."""
    blocker = pod("blocker")
    blocker["metadata"]["labels"] = {"app": "blocker"}
    blocker["spec"]["containers"] = [{"name": "main", "image": "busybox", "command": ["sleep", "infinity"]}]
    blocker["spec"]["nodeSelector"] = ON_A
    await here.create(blocker)
    await here.running("blocker")
    await here.create(pod("filler", "1g.10gb", nodeSelector=ON_A))  # draws the next small slice to node A
    await here.running("filler")
    term = {"labelSelector": {"matchLabels": {"app": "blocker"}}, "topologyKey": "kubernetes.io/hostname"}
    away: dict[str, Any] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    await here.create(pod("shy", "1g.10gb", affinity=away))
    await here.running("shy", timeout_s=60)
    assert here.track("shy").node == B
    await here.until(
        lambda: "shy" in claimed_devices(here, B) and "shy" not in claimed_devices(here, A), "one claim, on B"
    )


async def test_a_pod_deleted_while_its_slice_is_made_leaves_nothing_behind(here: World) -> None:
    """S3: the claim goes, the slice stays warm, the next Pod has it."""
    sim = here.node(A).sim
    sim.inject(function="nvmlDeviceCreateGpuInstanceWithPlacement", block_ms=1000, times=1)
    await here.create(pod("brief", "3g.40gb", nodeSelector=ON_A))
    await here.until(lambda: "brief" in claimed_devices(here, A), "a reservation")
    await here.delete("brief")
    await here.until(lambda: not claimed_devices(here, A), "the claim released")
    await here.until(lambda: [i for i in here.slices(A) if i.state is SliceState.FREE], "the slice warm")
    await here.create(pod("next", "3g.40gb", nodeSelector=ON_A))
    await here.running("next")


async def test_a_slice_is_not_reused_before_the_containers_of_a_force_deleted_pod_are_gone(here: World) -> None:
    """S9: the driver still lists a process, so the slice stays Used, and its GPU cannot be cut anew."""
    await here.create(pod("stubborn", "7g.80gb", nodeSelector=ON_A))
    await here.running("stubborn")
    device, sim = here.device(A, "stubborn"), here.node(A).sim
    holder = here.stack.children["webhook"].pid  # any living process will do as the one that computes on the slice
    assert holder is not None
    sim.hold(device, holder)
    try:
        here.stack.cluster.kubectl("-n", here.namespace, "delete", "pod", "stubborn", "--force", "--grace-period=0")
        await here.until(lambda: here.track("stubborn").gone, "the Pod gone")
        await here.until(lambda: not claimed_devices(here, A), "the claim released")
        await here.create(pod("heir-0", "7g.80gb", nodeSelector=ON_A), pod("heir-1", "7g.80gb", nodeSelector=ON_A))
        await here.until(lambda: "Running" in {here.track(f"heir-{n}").phase for n in range(2)}, "one heir runs")
        waiting = next(f"heir-{n}" for n in range(2) if here.track(f"heir-{n}").phase == "Pending")
        await here.waiting(waiting, "Full")
        assert [item.state for item in here.slices(A) if item.uuid == device] == [SliceState.USED]
    finally:
        sim.release(holder)
    await here.running(waiting)


async def test_a_migspec_deleted_by_hand_is_rebuilt_and_running_pods_keep_their_slices(here: World) -> None:
    """S10, invariant 5: claims come back from the Pods' annotations and the agent's report."""
    await here.create(pod("steady", "2g.20gb", nodeSelector=ON_A))
    await here.running("steady")
    device, before = here.device(A, "steady"), here.migspec(A).uid
    await here.api.delete(MIGSPECS, A)
    await here.until(lambda: (s := here.timeline.migspecs.get(A)) and s.uid != before, "a new MigSpec")
    await here.until(
        lambda: claimed_devices(here, A).get("steady") == here.hardware(A).get(device), "the claim is back"
    )
    assert here.track("steady").phase == "Running"
    await here.create(pod("later", "2g.20gb", nodeSelector=ON_A))
    await here.running("later")
    assert here.device(A, "later") != device


async def test_a_kubelet_restart_neither_costs_a_running_pod_nor_blocks_the_next(here: World) -> None:
    await here.create(pod("old", "1g.20gb", nodeSelector=ON_A))
    await here.running("old")
    here.node(A).node.restart_kubelet()
    here.stack.cluster.wait_ready(here.node(A).node)
    await here.create(pod("new", "1g.20gb", nodeSelector=ON_A))
    await here.running("new", timeout_s=60)
    assert here.track("old").phase == "Running"
    assert here.device(A, "new") != here.device(A, "old")


async def create_patiently(here: World, manifest: dict[str, Any]) -> None:
    """As a user would: again, while the API server or the webhook cannot be reached."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await here.create(manifest)
            except Unavailable:
                await asyncio.sleep(0.2)


async def test_everything_goes_on_after_the_api_server_was_away(here: World) -> None:
    """A10: Pods run on meanwhile, and the next one gets its slice when it is back."""
    await here.create(pod("before", "1g.10gb", nodeSelector=ON_A))
    await here.running("before")
    here.stack.cluster.stop_api_server()
    here.stack.cluster.start_api_server()
    await create_patiently(here, pod("after", "1g.10gb", nodeSelector=ON_A))
    await here.running("after", timeout_s=60)
    here.assert_sees_its_slice("after")
