"""What a Pod takes of its node is what the scheduler counts for it, to the last unit."""

from typing import Any

import pytest

from allocator.placement.fleet import Resources
from allocator.podrequests import pod_requests

Json = dict[str, Any]
GI = 2**30


STORAGE = "ephemeral-storage"
FPGA = "example.com/fpga"
HUGE = "hugepages-2Mi"


def container(name: str, *, sidecar: bool = False, other: dict[str, str] | None = None, **requests: str) -> Json:
    made: Json = {"name": name, "resources": {"requests": requests | (other or {})}}
    return made | ({"restartPolicy": "Always"} if sidecar else {})


def of(*containers: Json, init: tuple[Json, ...] = (), status: Json | None = None, **spec: Any) -> Resources:
    """What a Pod of these containers takes."""
    return pod_requests(
        {"spec": {"initContainers": list(init), "containers": list(containers), **spec}, "status": status or {}}
    )


def test_containers_add_up_and_the_pod_itself_is_one() -> None:
    assert of(container("a", cpu="1"), container("b", cpu="500m", memory="1Gi")) == Resources(1500, GI, 1)
    assert of({"name": "bare"}) == Resources(pods=1)


def test_plain_init_containers_count_only_where_one_alone_needs_more_than_all_that_runs() -> None:
    """W6."""
    big, small = container("big", cpu="3"), container("small", cpu="100m", memory="2Gi")
    assert of(container("a", cpu="1", memory="1Gi"), init=(big, small)) == Resources(3000, 2 * GI, 1)
    assert of(container("a", cpu="4", memory="3Gi"), init=(big, small)) == Resources(4000, 3 * GI, 1)


def test_sidecars_add_to_what_runs_and_to_the_init_containers_behind_them_but_not_before() -> None:
    """W6."""
    sidecar = container("sidecar", sidecar=True, cpu="100m")
    assert of(container("a", cpu="1"), init=(sidecar,)).milli_cpu == 1100
    assert of(container("a", cpu="1"), init=(sidecar, container("init", cpu="3"))).milli_cpu == 3100
    assert of(container("a", cpu="1"), init=(container("init", cpu="3"), sidecar)).milli_cpu == 3000


def test_each_resource_has_its_own_peak() -> None:
    init = (container("init", cpu="2", other={FPGA: "1"}),)
    taken = of(container("a", memory="1Gi", other={STORAGE: "5"}), init=init)
    assert taken == Resources(2000, GI, 1, {FPGA: 1, STORAGE: 5})


def test_overhead_comes_on_top_of_everything() -> None:
    overhead = {"cpu": "250m", "memory": "120Mi", "ephemeral-storage": "1Gi"}
    taken = of(container("a", cpu="1"), init=(container("init", cpu="3"),), overhead=overhead)
    assert taken == Resources(3250, 120 * 2**20, 1, {STORAGE: GI})


def test_what_the_pod_states_as_a_whole_counts_instead_of_the_sum_resource_by_resource() -> None:
    containers = container("a", cpu="1", memory="1Gi", other={HUGE: "2Mi"}), container("b", cpu="1")
    whole = {"requests": {"cpu": "4", "hugepages-2Mi": "8Mi"}}
    assert of(*containers, resources=whole) == Resources(4000, GI, 1, {HUGE: 8 * 2**20})
    assert of(*containers, resources={"requests": {"memory": "512Mi"}}) == Resources(
        2000, GI // 2, 1, {HUGE: 2 * 2**20}
    )
    assert of(*containers, resources={"requests": {"cpu": "0"}}, overhead={"cpu": "1m"}).milli_cpu == 1


def test_what_no_pod_can_state_as_a_whole_is_its_containers_sum() -> None:
    whole = {"requests": {"cpu": "1", "ephemeral-storage": "9", "example.com/fpga": "9"}}
    assert of(container("a", other={FPGA: "1"}), resources=whole).other == {FPGA: 1}


def test_our_own_slices_are_no_part_of_it() -> None:
    assert of(container("a", cpu="1", other={"nvidia.com/mig-1g.10gb": "1"})) == Resources(1000, 0, 1)


def test_amounts_are_rounded_up_to_what_the_scheduler_counts_in() -> None:
    assert of(container("a", cpu="0.0001", memory="0.5", other={STORAGE: "1500m"})) == Resources(1, 1, 1, {STORAGE: 2})


def resizing(*, wants: str, granted: str | None, runs: str | None, **status: Any) -> int:
    """The CPU of a Pod of one container between two sizes."""
    said: Json = {"name": "a"}
    if granted is not None:
        said["allocatedResources"] = {"cpu": granted}
    if runs is not None:
        said["resources"] = {"requests": {"cpu": runs}}
    return of(container("a", cpu=wants), status={"containerStatuses": [said], **status}).milli_cpu


@pytest.mark.parametrize(
    ("wants", "granted", "runs", "counts"),
    [
        ("1", "1", "1", 1000),
        ("2", "1", "1", 2000),
        ("1", "2", "2", 2000),
        ("1", "1", "2", 2000),
        ("1", "2", "1", 2000),
        ("1", None, "3", 3000),
        ("1", "3", None, 3000),
        ("1", None, None, 1000),
        ("1000m", "1", "1", 1000),
    ],
)
def test_while_a_pod_is_resized_the_largest_of_wanted_granted_and_running_counts(
    wants: str, granted: str | None, runs: str | None, counts: int
) -> None:
    """What shrinks is free only once it has shrunk, what grows is taken from the moment it is asked for."""
    assert resizing(wants=wants, granted=granted, runs=runs) == counts


def test_a_resize_that_the_node_cannot_grant_does_not_count() -> None:
    infeasible = [{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]
    deferred = [{"type": "PodResizePending", "status": "True", "reason": "Deferred"}]
    assert resizing(wants="9", granted="1", runs="1", conditions=infeasible) == 1000
    assert resizing(wants="9", granted="1", runs="1", conditions=deferred) == 9000
    assert resizing(wants="9", granted=None, runs=None, conditions=infeasible) == 0


def test_init_containers_and_sidecars_are_resized_by_the_same_rule() -> None:
    init = (container("sidecar", sidecar=True, cpu="1"), container("init", cpu="1"))
    said = [{"name": "sidecar", "allocatedResources": {"cpu": "3"}}]
    assert of(container("a", cpu="1"), init=init, status={"initContainerStatuses": said}).milli_cpu == 4000


def test_a_pod_whose_whole_is_resized_counts_the_largest_whole() -> None:
    whole = {"requests": {"cpu": "2"}}
    status = {"resources": {"requests": {"cpu": "3"}}, "allocatedResources": {"cpu": "2500m"}}
    assert of(container("a", cpu="1"), resources=whole, status=status).milli_cpu == 3000
    granted = {"resources": {"requests": {"cpu": "1"}}, "allocatedResources": {"cpu": "4"}}
    assert of(container("a", cpu="1"), status=granted).milli_cpu == 4000
