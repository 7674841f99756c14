"""What a Pod needs: as few slices as the kubelet's handing-on of devices allows (W6)."""

import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mig.demand import (
    Allotment,
    allocation_from_annotation,
    allocation_to_annotation,
    asks_for_mig,
    needs_of,
    request_of,
)
from mig.profiles import parse_profile

ONE, TWO = "nvidia.com/mig-1g.10gb", "nvidia.com/mig-2g.20gb"


def container(name: str, resource: str | None, *, sidecar: bool = False) -> dict[str, Any]:
    limits = {"cpu": "1"} | ({resource: 1} if resource else {})
    return {"name": name, "resources": {"limits": limits}} | ({"restartPolicy": "Always"} if sidecar else {})


def test_an_init_containers_device_goes_on_to_the_next_container_of_its_profile() -> None:
    spec = {"initContainers": [container("load", ONE)], "containers": [container("main", ONE), container("log", None)]}
    (need,) = needs_of(spec)
    assert need.containers == ("load", "main")
    assert need.container == "main"


def test_a_sidecar_keeps_its_device() -> None:
    spec = {
        "initContainers": [container("proxy", ONE, sidecar=True), container("load", ONE)],
        "containers": [container("main", ONE)],
    }
    assert [need.containers for need in needs_of(spec)] == [("proxy",), ("load", "main")]


def test_another_profile_is_another_device() -> None:
    spec = {"initContainers": [container("load", TWO)], "containers": [container("main", ONE)]}
    assert [need.containers for need in needs_of(spec)] == [("load",), ("main",)]


@given(
    inits=st.lists(st.tuples(st.sampled_from([ONE, TWO, None]), st.booleans()), max_size=5),
    apps=st.lists(st.sampled_from([ONE, TWO, None]), min_size=1, max_size=5),
)
def test_the_number_of_needs_is_the_schedulers_effective_request(
    inits: list[tuple[str | None, bool]], apps: list[str | None]
) -> None:
    spec = {
        "initContainers": [container(f"i{n}", what, sidecar=stays) for n, (what, stays) in enumerate(inits)],
        "containers": [container(f"a{n}", what) for n, what in enumerate(apps)],
    }
    counted = Counter(need.profile.resource for need in needs_of(spec))
    for resource in (ONE, TWO):
        sidecars, peak = 0, 0
        for what, stays in inits:
            if what == resource:
                peak = max(peak, sidecars + 1)
                sidecars += stays
        assert counted[resource] == max(peak, sidecars + apps.count(resource))
    assert {name for need in needs_of(spec) for name in need.containers} == set(request_of(spec))


def test_a_pod_without_mig_asks_for_none() -> None:
    assert not asks_for_mig({"containers": [container("main", None)]})
    assert asks_for_mig({"containers": [{"name": "x", "resources": {"requests": {ONE: "1"}}}]})
    assert needs_of({"containers": [{"name": "x", "resources": {"limits": {ONE: "0"}}}]}) == ()


def test_the_allocation_lists_every_holder_and_reads_back() -> None:
    spec = {"initContainers": [container("load", ONE)], "containers": [container("main", ONE)]}
    place = Allotment("node-1", "GPU-1", parse_profile("1g.10gb"), 4)
    text = allocation_to_annotation(needs_of(spec), {"main": place})
    assert json.loads(text)["load"] == {"node": "node-1", "gpu": "GPU-1", "profile": "1g.10gb", "start": 4}
    assert allocation_from_annotation(text) == {"load": place, "main": place}


@given(st.text(max_size=40))
def test_an_annotation_that_a_stranger_wrote_raises_value_error_at_most(text: str) -> None:
    try:
        allocation_from_annotation(text)
    except ValueError:
        return
