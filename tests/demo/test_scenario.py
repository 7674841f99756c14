"""The demo's mix suits whatever fleet it is shown on: what must run fits surely, what must wait can never run."""

import pytest

from demo.scenario import DemoPod, Expect, mix, seed
from mig.demand import request_of
from mig.placements import GpuShape
from tests.support.shapes import shapes

A100, H100 = shapes()["a100-80gb"], shapes()["h100-80gb"]
DEFAULT = [[A100, A100], [H100, H100]]


def demands(pod: DemoPod) -> list[str]:
    return [str(profile) for profile in request_of(pod.manifest["spec"]).values()]


def test_the_default_fleet_gets_twelve_pods_of_five_profiles_some_with_two_containers() -> None:
    pods = mix(DEFAULT)
    assert [pod.expect for pod in pods].count(Expect.RUNS) == 10
    assert [pod.expect for pod in pods].count(Expect.REFUSED) == 1
    assert [pod.expect for pod in pods].count(Expect.WAITS) == 1
    assert {name for pod in pods for name in demands(pod)} == {"1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "7g.80gb"}
    assert any(len(demands(pod)) == 2 for pod in pods)


def test_the_seed_pod_is_the_one_of_the_readme() -> None:
    container = seed().manifest["spec"]["containers"][0]
    assert container["command"] == ["sleep", "120"]
    assert container["resources"] == {"limits": {"nvidia.com/mig-1g.10gb": 1}}


@pytest.mark.parametrize("model", sorted(shapes()))
@pytest.mark.parametrize(("nodes", "gpus"), [(1, 1), (1, 4), (2, 2), (3, 4)])
def test_what_must_run_takes_no_more_than_three_quarters_of_the_room(model: str, nodes: int, gpus: int) -> None:
    shape = shapes()[model]
    pods = mix([[shape] * gpus] * nodes)
    sizes = {str(offer.profile): offer.size for offer in shape.offers}
    running = sum(sizes[name] for pod in pods if pod.expect is Expect.RUNS for name in demands(pod))
    assert running <= 0.75 * nodes * gpus * shape.width
    assert all(name in sizes for pod in pods for name in demands(pod))


@pytest.mark.parametrize(("nodes", "gpus"), [(1, 1), (1, 2), (3, 4)])
def test_on_another_fleet_what_must_wait_asks_for_more_gpus_than_a_node_has(nodes: int, gpus: int) -> None:
    waiting = mix([[A100] * gpus] * nodes)[-1]
    assert waiting.expect is Expect.WAITS
    assert len(demands(waiting)) == gpus + 1


def test_models_of_equal_profiles_count_as_alike_though_their_memory_differs() -> None:
    mixed: list[list[GpuShape]] = DEFAULT
    assert [pod.name for pod in mix(mixed)] == [pod.name for pod in mix([[A100, A100], [A100, A100]])]
