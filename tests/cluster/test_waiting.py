"""A Pod that cannot have its slice now says why, and runs when room appears."""

import asyncio
import time

from kube.resource import EVENTS, PODS
from tests.cluster.conftest import A
from tests.cluster.world import World, pod

ON_A = {"kubernetes.io/hostname": A}


async def test_a_pod_waits_with_a_reason_and_runs_when_room_appears(here: World) -> None:
    """S1: of three whole-GPU Pods for two GPUs one waits; it runs when another ends."""
    await here.create(*(pod(f"whole-{n}", "7g.80gb", nodeSelector=ON_A) for n in range(2)))
    await here.running("whole-0", "whole-1")
    await here.create(pod("late", "7g.80gb", nodeSelector=ON_A))
    await here.waiting("late", "Full")
    stored = await here.get("late")
    assert stored["spec"]["schedulingGates"] == [{"name": "nos.nebuly.com/mig"}]
    await here.delete("whole-0")
    await here.running("late")
    here.assert_sees_its_slice("late")


async def test_free_memory_in_pieces_is_called_fragmented(here: World) -> None:
    """S2: each GPU has half its memory free, no GPU all of it; nothing is tried on hardware."""
    await here.create(*(pod(f"half-{n}", "4g.40gb", nodeSelector=ON_A) for n in range(2)))
    await here.running("half-0", "half-1")
    calls = here.node(A).sim.calls()["nvmlDeviceCreateGpuInstanceWithPlacement"]
    await here.create(pod("whole", "7g.80gb", nodeSelector=ON_A))
    await here.waiting("whole", "Fragmented")
    assert here.node(A).sim.calls()["nvmlDeviceCreateGpuInstanceWithPlacement"] == calls
    await here.delete("half-0")
    await here.running("whole")


async def test_a_profile_that_no_gpu_offers_is_admitted_and_told_what_exists(here: World) -> None:
    """W16, invariant 9: in the condition, and in an Event that lists the profiles."""
    await here.create(pod("odd", "1g.5gb"))
    await here.waiting("odd", "NoSuchProfile")
    assert "3g.40gb" in here.track("odd").message
    deadline = time.monotonic() + 10
    while True:
        events, _ = await here.api.list(EVENTS, namespace=here.namespace)
        notes = [event.get("note", "") for event in events if event["regarding"].get("name") == "odd"]
        if any("3g.40gb" in note for note in notes):
            return
        assert time.monotonic() < deadline, notes
        await asyncio.sleep(0.1)


async def test_a_pod_with_anothers_gate_gets_no_reservation_before_that_gate_is_gone(here: World) -> None:
    """W21: ours stands beside it, and nothing is reserved while it is there."""
    await here.create(pod("queued", "1g.10gb", schedulingGates=[{"name": "example.com/queue"}]))
    await here.waiting("queued", "OtherGates")
    uid = here.track("queued").uid
    assert not any(claim.uid == uid for spec in here.timeline.migspecs.values() for _, _, claim in spec.spec.claims())
    stored = await here.get("queued")
    gates = [gate["name"] for gate in stored["spec"]["schedulingGates"]]
    assert set(gates) == {"example.com/queue", "nos.nebuly.com/mig"}
    await here.api.json_patch(
        PODS, "queued", [{"op": "remove", "path": f"/spec/schedulingGates/{gates.index('example.com/queue')}"}],
        namespace=here.namespace,
    )  # fmt: skip
    await here.running("queued")
