"""Pods that no admission sees: at worst they take an equal slice that exists; it is told, and the displaced Pod gets another."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mig.migspec import SliceState
from tests.cluster.conftest import A
from tests.cluster.world import World, container, pod

ON_A = {"kubernetes.io/hostname": A}


@contextmanager
def static_pod(here: World, name: str, profile: str) -> Iterator[str]:
    """A static Pod on node A, and the name under which the API server shows it."""
    manifest = pod(name)
    manifest["metadata"]["namespace"] = here.namespace
    manifest["spec"]["containers"] = [container("main", profile)]
    file: Path = here.node(A).node.static_pods_dir / f"{name}.json"
    file.write_text(json.dumps(manifest))
    try:
        yield f"{name}-{A}"
    finally:
        file.unlink()


def claims(here: World) -> dict[str, int]:
    """Pod → start of the slice that it claims on node A."""
    return {claim.pod: item.window.start for _, item, claim in here.migspec(A).spec.claims()}


async def test_a_static_pod_takes_an_equal_slice_and_the_pod_that_it_displaced_gets_another(here: World) -> None:
    """W8, W14, invariant 8: the claim follows the device, the slice and Events say what happened, and both Pods run."""
    # Let go, and bound by nobody: its slice is there, claimed and free.
    await here.create(pod("reserved", "1g.10gb", nodeSelector=ON_A, schedulerName="nobody"))
    await here.waiting("reserved", "Allocated")
    ((_, before),) = claims(here).items()

    with static_pod(here, "intruder", "1g.10gb") as mirror:
        await here.running(mirror)
        await here.until(lambda: claims(here).get(mirror) == before, "the claim follows the device")
        await here.until(lambda: claims(here).get("reserved") not in (None, before), "another slice for who had it")
        assert here.hardware(A)[here.device(A, mirror)][2] == before

        def message() -> str:
            return next((item.message for item in here.slices(A, SliceState.USED) if item.window.start == before), "")

        await here.until(lambda: "came round the admission webhook" in message(), "the slice says so")
        await here.event("MigSliceWithoutClaim", kind="Pod", name=mirror)
        await here.event("MigSliceWithoutClaim", kind="MigSpec", name=f"{here.namespace}/{mirror}")

        await here.waiting("reserved", "Allocated")
        await here.bind("reserved", A)
        await here.running("reserved")
        assert here.device(A, "reserved") != here.device(A, mirror)
    await here.until(lambda: here.track(mirror).gone, "the static Pod gone")
