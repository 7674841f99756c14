"""What a user submits runs on the slice that it asked for."""

import json

import pytest

from demo.scenario import seed
from kube.errors import ApiError
from tests.cluster.world import World, container, pod


async def test_the_pod_of_the_readme_runs_unchanged_and_sees_its_slice(here: World) -> None:
    """W1: gate, label and annotation come from the webhook, the slice from the agent, the rest from Kubernetes."""
    manifest = seed().manifest
    await here.create(manifest)
    name = manifest["metadata"]["name"]
    await here.running(name)
    here.assert_sees_its_slice(name, "sleepy")
    stored = await here.get(name)
    assert stored["metadata"]["labels"]["nos.nebuly.com/mig"] == "true"
    assert json.loads(stored["metadata"]["annotations"]["nos.nebuly.com/mig-request"]) == {"sleepy": "1g.10gb"}
    condition = next(c for c in stored["status"]["conditions"] if c["type"] == "nos.nebuly.com/MigAllocated")
    assert (condition["status"], condition["reason"]) == ("True", "Allocated")


async def test_two_containers_get_two_slices_on_one_node(here: World) -> None:
    """W3."""
    await here.create(pod("pair", "1g.10gb", "2g.20gb"))
    await here.running("pair")
    here.assert_sees_its_slice("pair", "main", "c1")
    node = here.track("pair").node
    assert here.device(node, "pair", "main") != here.device(node, "pair", "c1")


async def test_an_init_containers_slice_goes_on_and_a_sidecar_keeps_its_own(here: World) -> None:
    """W6: init `load` and app `main` share one slice, the sidecar has another."""
    manifest = pod("staged", "1g.10gb")
    manifest["spec"]["initContainers"] = [
        container("proxy", "1g.10gb", restartPolicy="Always"),
        container("load", "1g.10gb", command=["sleep", "1"]),
    ]
    await here.create(manifest)
    await here.running("staged")
    track = here.track("staged")
    assert set(track.allocation) == {"proxy", "load", "main"}
    await here.until(
        lambda: here.track("staged").allocation["load"] == here.track("staged").allocation["main"], "shared"
    )
    proxy, main = (here.device(track.node, "staged", name) for name in ("proxy", "main"))
    assert proxy != main
    held = [claim for _, _, claim in here.migspec(track.node).spec.claims() if claim.uid == track.uid]
    assert {claim.container for claim in held} == {"proxy", "main"}


@pytest.mark.parametrize(
    ("quantity", "words"),
    [(2, ["main", "nvidia.com/mig-1g.10gb", "one"]), ("0.5", ["main", "nvidia.com/mig-1g.10gb"])],
)
async def test_what_breaks_the_rule_is_refused_with_words(here: World, quantity: object, words: list[str]) -> None:
    """W2: nothing is stored; the message names container, resource and rule."""
    manifest = pod("greedy", "1g.10gb")
    manifest["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/mig-1g.10gb": quantity}
    with pytest.raises(ApiError) as refusal:
        await here.create(manifest)
    text = str(refusal.value)
    assert "admission webhook" in text
    assert all(word in text for word in words)


async def test_a_pod_without_mig_is_left_alone(here: World) -> None:
    """Invariant 7: no gate, no label, no annotation of ours."""
    manifest = pod("plain")
    manifest["spec"]["containers"] = [container("main")]
    await here.create(manifest)
    await here.running("plain")
    stored = await here.get("plain")
    assert "labels" not in stored["metadata"]
    assert not any("nos.nebuly.com" in key for key in stored["metadata"].get("annotations", {}))
