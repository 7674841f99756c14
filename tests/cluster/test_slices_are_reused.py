"""A slice whose Pod ended stays warm: the next Pod with its profile starts without a hardware call."""

from mig.migspec import SliceState, StatusSlice
from tests.cluster.conftest import A
from tests.cluster.world import World, pod

ON_A = {"kubernetes.io/hostname": A}
CHANGES = ("Create", "Destroy")


def changes(here: World) -> dict[str, int]:
    """The NVML calls that change hardware, with how often they were made."""
    return {
        name: count
        for name, count in here.node(A).sim.calls().items()
        if any(word in name for word in CHANGES) and count
    }


def warm(here: World) -> list[StatusSlice]:
    """The slices that are free by a report that is newer than the end of every claim."""
    migspec = here.migspec(A)
    fresh = migspec.status is not None and migspec.status.observed_generation == migspec.generation
    return here.slices(A, SliceState.FREE) if fresh and not list(migspec.spec.claims()) else []


async def test_the_next_pod_takes_the_warm_slice_with_no_hardware_call(here: World) -> None:
    await here.create(pod("first", "2g.20gb", nodeSelector=ON_A))
    await here.running("first")
    used = here.device(A, "first")
    await here.delete("first")
    await here.until(lambda: [item.uuid for item in warm(here)] == [used], "the slice warm")
    before = changes(here)
    await here.create(pod("second", "2g.20gb", nodeSelector=ON_A))
    await here.running("second")
    assert here.device(A, "second") == used
    assert changes(here) == before


async def test_a_pod_that_is_ready_does_not_wait_for_one_whose_slice_is_still_being_made(here: World) -> None:
    """Two Pods of one profile: the warm slice's Pod runs while the other's creation blocks in the driver."""
    await here.create(pod("warmer", "3g.40gb", nodeSelector=ON_A))
    await here.running("warmer")
    await here.delete("warmer")
    await here.until(lambda: [str(item.profile) for item in warm(here)] == ["3g.40gb"], "a warm 3g")
    sim = here.node(A).sim
    sim.inject(function="nvmlDeviceCreateGpuInstanceWithPlacement", block_ms=4000, times=2)
    try:
        await here.create(
            pod("one", "3g.40gb", nodeSelector=ON_A),
            pod("two", "3g.40gb", nodeSelector=ON_A),
        )
        await here.until(lambda: len([n for n in ("one", "two") if here.track(n).phase == "Running"]) >= 1, "one runs")
        assert sorted(here.track(name).phase for name in ("one", "two")) == ["Pending", "Running"]
        assert any(str(item.profile) == "3g.40gb" for item in here.slices(A, SliceState.CREATING))
        await here.running("one", "two")
    finally:
        sim.clear_faults()
    assert here.device(A, "one") != here.device(A, "two")


async def test_a_warm_slice_of_another_profile_makes_room(here: World) -> None:
    await here.create(*(pod(f"small-{n}", "1g.10gb", nodeSelector=ON_A) for n in range(8)))
    await here.running(*(f"small-{n}" for n in range(8)))
    await here.delete(*(f"small-{n}" for n in range(8)))
    await here.create(*(pod(f"whole-{n}", "7g.80gb", nodeSelector=ON_A) for n in range(2)))
    await here.running("whole-0", "whole-1")
    here.assert_sees_its_slice("whole-0")
    here.assert_sees_its_slice("whole-1")
    assert len(here.hardware(A)) == 2
