"""The API server itself refuses a MigSpec that would break an invariant, whoever writes, and keeps what an agent reports (S5)."""

from collections.abc import Iterator
from typing import Any

import pytest

from cluster.cluster import Cluster
from kube.client import Api
from kube.errors import Invalid
from kube.resource import Resource
from mig import names
from tests.support.migspecs import full_migspec

MIGSPECS = Resource(names.GROUP, names.VERSION, names.PLURAL, namespaced=False)


@pytest.fixture
def name(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[str]:
    """A MigSpec's name, used once."""
    fresh = f"node-{abs(hash(request.node.nodeid)) % 10**9}"
    yield fresh
    cluster.kubectl("delete", "migspec", fresh, "--ignore-not-found", "--wait=false")


def claim(uid: str, container: str) -> dict[str, str]:
    return {"namespace": "default", "pod": "p", "uid": uid, "container": container}


def wanted(start: int, size: int, owner: dict[str, str] | None = None) -> dict[str, Any]:
    return {"start": start, "size": size, "profile": f"{size}g.{size}0gb"} | ({"claim": owner} if owner else {})


def migspec(name: str, *gpus: list[dict[str, Any]], epoch: int = 7) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {
            "leaderEpoch": epoch,
            "gpus": [{"uuid": f"GPU-{place}", "slices": slices} for place, slices in enumerate(gpus)],
        },
    }


async def test_slices_of_one_gpu_that_overlap_are_refused(admin: Api, name: str) -> None:
    """S5, invariant 1: the second begins within the first."""
    with pytest.raises(Invalid, match="two slices of one GPU overlap") as refusal:
        await admin.create(MIGSPECS, migspec(name, [wanted(4, 4), wanted(2, 4)]))
    assert "spec.gpus[0].slices" in refusal.value.message


async def test_slices_that_touch_and_equal_places_on_two_gpus_are_accepted(admin: Api, name: str) -> None:
    both = [wanted(0, 4, claim("u", "a")), wanted(4, 4, claim("u", "b"))]
    await admin.create(MIGSPECS, migspec(name, both, [wanted(0, 4), wanted(4, 4)]))


async def test_two_slices_at_one_start_are_refused(admin: Api, name: str) -> None:
    with pytest.raises(Invalid, match="Duplicate value"):
        await admin.create(MIGSPECS, migspec(name, [wanted(0, 1), wanted(0, 2)]))


@pytest.mark.parametrize("other_gpu", [False, True])
async def test_a_container_with_two_slices_is_refused(admin: Api, name: str, *, other_gpu: bool) -> None:
    """S5, invariant 1: on one GPU and across GPUs."""
    one, two = wanted(0, 4, claim("u", "main")), wanted(4, 4, claim("u", "main"))
    gpus = [[one], [two]] if other_gpu else [[one, two]]
    with pytest.raises(Invalid, match="a container holds at most one slice"):
        await admin.create(MIGSPECS, migspec(name, *gpus))


async def test_containers_of_one_name_in_two_pods_may_each_have_one(admin: Api, name: str) -> None:
    await admin.create(MIGSPECS, migspec(name, [wanted(0, 4, claim("u1", "main")), wanted(4, 4, claim("u2", "main"))]))


async def test_a_lower_epoch_is_refused_and_a_higher_one_accepted(admin: Api, name: str) -> None:
    """S5, invariant 4: a deposed leader's write, even one without a resourceVersion."""
    await admin.create(MIGSPECS, migspec(name, epoch=7))
    with pytest.raises(Invalid, match="leaderEpoch never decreases"):
        await admin.merge_patch(MIGSPECS, name, {"spec": {"leaderEpoch": 6}})
    await admin.merge_patch(MIGSPECS, name, {"spec": {"leaderEpoch": 7}})
    await admin.merge_patch(MIGSPECS, name, {"spec": {"leaderEpoch": 8}})


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({}, "spec.leaderEpoch"),
        ({"leaderEpoch": 1, "gpus": [{"uuid": f"GPU-{n}"} for n in range(17)]}, "spec.gpus"),
        ({"leaderEpoch": 1, "gpus": [{"uuid": "g", "slices": [wanted(0, 1) | {"profile": "big"}]}]}, "profile"),
        ({"leaderEpoch": 1, "gpus": [{"uuid": "g", "slices": [wanted(0, 1) | {"claim": {"pod": "p"}}]}]}, "claim.uid"),
    ],
)
async def test_a_spec_out_of_form_is_refused_with_its_place(
    admin: Api, name: str, spec: dict[str, Any], where: str
) -> None:
    """S5: edited by hand."""
    with pytest.raises(Invalid) as refusal:
        await admin.create(MIGSPECS, migspec(name) | {"spec": spec})
    assert where in refusal.value.message


async def test_the_largest_node_is_within_the_cost_limits(admin: Api, name: str) -> None:
    """16 GPUs, each with 16 claimed slices: the rules' cost at run time stays within the API server's budget."""
    gpus = [[wanted(start, 1, claim(f"{gpu}-{start}" * 8, "c" * 63)) for start in range(16)] for gpu in range(16)]
    await admin.create(MIGSPECS, migspec(name, *gpus))
    await admin.merge_patch(MIGSPECS, name, {"spec": {"leaderEpoch": 8}})


async def test_nothing_that_an_agent_reports_is_lost(admin: Api, name: str) -> None:
    """What the API server stores is what our writer wrote: no field pruned, none added."""
    document = full_migspec(name)
    del document["metadata"]["ownerReferences"]
    created = await admin.create(MIGSPECS, document)
    assert "status" not in created
    patch = [{"op": "add", "path": "/status", "value": document["status"]}]
    stored = await admin.json_patch(MIGSPECS, name, patch, subresource="status")
    assert stored["status"] == document["status"]
    assert stored["spec"] == document["spec"]


async def test_kubectl_shows_a_node_in_a_line(admin: Api, cluster: Cluster, name: str) -> None:
    """Converged or not, used, free, pending, room."""
    document = full_migspec(name)
    del document["metadata"]["ownerReferences"]
    await admin.create(MIGSPECS, document)
    patch = [{"op": "add", "path": "/status", "value": document["status"]}]
    await admin.json_patch(MIGSPECS, name, patch, subresource="status")
    head, row = cluster.kubectl("get", "migs", name).splitlines()
    assert head.split() == ["NAME", "CONVERGED", "GPUS", "USED", "FREE", "PENDING", "ROOM", "AGE"]
    counts = document["status"]["counts"]
    assert row.split()[:-1] == [
        name,
        "False",
        *(str(counts[key]) for key in ("gpus", "used", "free", "pending", "room")),
    ]
    assert name in cluster.kubectl("get", "nos")
