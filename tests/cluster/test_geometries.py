"""The admin's geometries narrow what is made; a bad document changes nothing and says what is wrong."""

from pathlib import Path

from kube.resource import CONFIG_MAPS, EVENTS
from tests.cluster.conftest import A
from tests.cluster.world import World, pod

ON_A = {"kubernetes.io/hostname": A}


async def write(here: World, overrides: str) -> None:
    """What `helm upgrade` or an admin's `kubectl edit` does to the ConfigMap."""
    patch = {"data": {"overrides.yaml": overrides}}
    await here.api.merge_patch(CONFIG_MAPS, "nos-mig-geometries", patch, namespace="nos-mig")


async def test_a_bad_document_leaves_the_last_good_one_in_force_and_says_where_it_is_wrong(here: World) -> None:
    original = (await here.api.get(CONFIG_MAPS, "nos-mig-geometries", namespace="nos-mig"))["data"]["overrides.yaml"]
    try:
        await write(here, "- models: [A100]\n  allowedGeometries:\n  - 3g.40gb: 2\n")
        await here.create(pod("small", "1g.10gb", nodeSelector=ON_A))
        await here.waiting("small", "GeometryForbids")
        await write(here, "- models: [A100]\n  allowedGeometries:\n  - 3g.forty: 2\n")
        await here.create(pod("still", "1g.10gb", nodeSelector=ON_A), pod("large", "3g.40gb", nodeSelector=ON_A))
        await here.running("large")
        await here.waiting("still", "GeometryForbids")
        events, _ = await here.api.list(EVENTS, namespace="nos-mig")
        notes = [event["note"] for event in events if event["regarding"].get("name") == "nos-mig-geometries"]
        assert any("3g.forty" in note and "overrides.yaml" in note for note in notes), notes
    finally:
        await write(here, original)
    await here.running("small", "still")


async def test_helm_upgrade_changes_what_is_allowed(here: World, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(
        "gpuPartitioner:\n  knownMigGeometries:\n  - models: [A100]\n    allowedGeometries:\n    - 3g.40gb: 2\n"
    )
    nothing = tmp_path / "nothing.yaml"
    nothing.write_text("gpuPartitioner:\n  knownMigGeometries: []\n")
    here.stack.upgrade_chart(values)
    try:
        await here.create(pod("small", "1g.10gb", nodeSelector=ON_A))
        await here.waiting("small", "GeometryForbids")
    finally:
        here.stack.upgrade_chart(nothing)
    await here.running("small")
