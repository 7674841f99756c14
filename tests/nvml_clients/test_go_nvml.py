"""What NVIDIA's Go bindings, as published, see and do on the simulated driver is what our agent sees and does."""

import pytest

from mig.migspec import MigMode
from mig.occupancy import Placed
from nodeagent.values import Gpu
from simgpu import SimNode
from tests.nvml_clients.clients import Json, go_nvml
from tests.support.driverprocess import DriverProcess

SUCCESS, NOT_SUPPORTED, NOT_FOUND, IN_USE, INSUFFICIENT_RESOURCES = 0, 3, 6, 19, 23

# The first test of a fresh machine builds the program: half a minute on 2 cores, with Go and its modules to fetch besides.
pytestmark = pytest.mark.timeout(900)


def seen_by_agent(driver: DriverProcess, node: SimNode) -> list[Gpu]:
    return [driver.gpu(index) for index in range(len(node.gpus))]


def places(gpu: Gpu) -> list[Placed]:
    """The first place of every profile."""
    return [Placed(offer.windows()[0], offer.profile) for offer in gpu.shape.offers]


def test_they_see_the_gpus_that_the_agent_sees(node: SimNode, driver: DriverProcess) -> None:
    """Number, order, UUID, model and MIG mode, also of a GPU without MIG; driver version."""
    seen = go_nvml(node, "look")
    assert seen["Driver"] == driver.start().version
    modes = {SUCCESS: {1: MigMode.ENABLED, 0: MigMode.DISABLED}, NOT_SUPPORTED: {0: MigMode.UNSUPPORTED}}
    theirs = [(g["Index"], g["UUID"], g["Name"], modes[g["MigModeCode"]][g["Current"]]) for g in seen["Gpus"]]
    assert theirs == [(g.index, g.uuid, g.model, g.mig_mode) for g in seen_by_agent(driver, node)]
    assert {mode for *_, mode in theirs} == {MigMode.ENABLED, MigMode.DISABLED, MigMode.UNSUPPORTED}
    assert [g["MaxMigDevices"] for g in seen["Gpus"]] == [7, 7, 4, 4, 0, 0]


def test_the_three_versions_of_a_profile_tell_the_same(node: SimNode) -> None:
    """Version 1 has no name; versions 2 and 3 have one, and asking by enum or by profile id makes no difference."""
    profiles = [p for gpu in go_nvml(node, "look")["Gpus"] for p in gpu["Profiles"] or []]
    assert len(profiles) > 20
    for profile in profiles:
        assert profile["V2"]["Name"].startswith("MIG ")
        assert profile["V3"] == profile["ByID"] == profile["V2"]
        assert profile["V1"] == {**profile["V2"], "Name": ""}
        assert profile["Enum"] != profile["V1"]["ID"]


def test_they_are_offered_what_the_agent_is_offered(node: SimNode, driver: DriverProcess) -> None:
    """Profile ids, placements, bounds, memory and engines of every profile; on an empty GPU all of it remains."""
    for theirs, ours in zip(go_nvml(node, "look")["Gpus"], seen_by_agent(driver, node), strict=True):
        offers = {offer.profile_id: offer for offer in ours.shape.offers}
        assert {profile["V1"]["ID"] for profile in theirs["Profiles"] or []} == set(offers)
        for profile in theirs["Profiles"] or []:
            offer, facts = offers[profile["V1"]["ID"]], profile["V3"]
            assert facts["Name"] == f"MIG {offer.profile}"
            assert (facts["Slices"], facts["MemoryMB"]) == (offer.profile.slices, offer.memory_mib)
            assert [(p["Start"], p["Size"]) for p in profile["Placements"]] == [(s, offer.size) for s in offer.starts]
            assert profile["Remaining"] == facts["Instances"] == offer.max_instances
            assert {name: facts[name.capitalize()] for name in offer.engines} == offer.engines


def test_what_the_agent_made_they_list(node: SimNode, driver: DriverProcess) -> None:
    """One instance of each of our GPUs' first profiles: ids, place, and the UUID of the MIG device, found both ways."""
    made = {
        gpu.uuid: driver.create(gpu, places(gpu)[0])
        for gpu in seen_by_agent(driver, node)
        if gpu.mig_mode is MigMode.ENABLED
    }
    for gpu in go_nvml(node, "look")["Gpus"]:
        if gpu["UUID"] not in made:
            assert (gpu["Instances"], gpu["MigDevices"]) == (None, None)
            continue
        ours = made[gpu["UUID"]]
        (instance,), (device,) = gpu["Instances"], gpu["MigDevices"]
        (compute,) = instance["ComputeInstances"]
        window = ours.placed.window
        assert instance["ID"] == device["Gi"] == ours.gi
        assert instance["Placement"] == {"Start": window.start, "Size": window.size}
        assert compute["UUID"] == device["UUID"] == ours.uuid
        assert device["ParentUUID"] == gpu["UUID"]
        assert device["Attributes"]["GpuInstanceSliceCount"] == ours.placed.profile.slices
        assert device["Attributes"]["ComputeInstanceSliceCount"] == compute["Placement"]["Size"]


def test_they_see_the_processes_that_the_agent_sees(node: SimNode, driver: DriverProcess, workloads: list[int]) -> None:
    """Each under its GPU instance: two share one, which is more than their first array has room for; one has a whole GPU."""
    node.create_foreign(0, "3g.40gb", 4)
    (busy,) = node.gpus[0].instances
    for pid in workloads[:2]:
        node.hold(busy.compute_instances[0].uuid, pid)
    node.hold(node.gpus[5].uuid, workloads[2])
    for theirs, ours in zip(go_nvml(node, "look")["Gpus"], seen_by_agent(driver, node), strict=True):
        found: dict[int, list[int]] = {}
        for process in theirs["Processes"] or []:
            found.setdefault(process["GpuInstanceId"], []).append(process["Pid"])
        assert {gi: tuple(sorted(pids)) for gi, pids in found.items()} == driver.processes(ours)
    assert driver.processes(driver.gpu(0)) == {busy.id: tuple(sorted(workloads[:2]))}


def test_every_profile_is_made_read_back_and_taken_away(node: SimNode, driver: DriverProcess) -> None:
    """At its first place, on every GPU; what they made is what our agent makes there, and nothing of it is left."""
    for gpu in seen_by_agent(driver, node):
        for placed in places(gpu):
            told = go_nvml(node, "make", gpu.uuid, gpu.shape.by_profile[placed.profile].profile_id, placed.window.start)
            assert_one_life(told)
            assert node.gpus[gpu.index].instances == ()
            ours = driver.create(gpu, placed)
            (compute,) = told["Made"]["ComputeInstances"]
            assert (told["Made"]["ID"], compute["UUID"]) == (ours.gi, ours.uuid)
            driver.destroy(gpu, ours)


def assert_one_life(told: Json) -> None:
    """Seen alike from every side; the codes of a taken place, of the wrong order, and of what is gone."""
    assert told["Listed"] == [told["Made"]]
    assert told["ByID"] == told["Made"]
    assert told["ByUUID"]["UUID"] == told["Made"]["ComputeInstances"][0]["UUID"]
    assert (told["ByUUID"]["Gi"], told["ByUUID"]["Index"]) == (told["Made"]["ID"], 0)
    assert (told["Again"], told["WrongOrder"]) == (INSUFFICIENT_RESOURCES, IN_USE)
    assert (told["Destroyed"], told["DestroyedGi"]) == (SUCCESS, SUCCESS)
    assert (told["GoneByID"], told["GoneByUUID"]) == (NOT_FOUND, NOT_FOUND)
    assert told["Left"] is None


def test_what_others_made_they_leave_alone(node: SimNode) -> None:
    """Making and taking a slice beside it changes nothing of what is there."""
    node.create_foreign(0, "3g.40gb", 0)
    before = node.gpus
    told = go_nvml(node, "make", before[0].uuid, 9, 4)
    assert {instance["Placement"]["Start"] for instance in told["Listed"]} == {0, 4}
    assert [instance["Placement"]["Start"] for instance in told["Left"]] == [0]
    assert node.gpus == before
