"""NVIDIA's container toolkit, as published, finds on a simulated node the GPUs and MIG devices that our agent finds.

`nvidia-ctk cdi generate` asks NVML for the devices, the driver's `/proc` files for the numbers of MIG capabilities and `/dev`
for the nodes, and writes what a container runtime injects: the very names and nodes that a Pod's container gets.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from mig.migspec import MigMode
from mig.occupancy import Placed
from nodeagent.kubelet.devicenodes import CONTROL, Access
from nodeagent.values import Gpu, Instance
from simgpu import SimNode
from tests.nvml_clients.clients import Json, cdi_spec
from tests.simgpu.nvml import CI_1, ID_3G, Nvml
from tests.support.driverprocess import DriverProcess
from tests.support.handing import device_nodes

# The first test of a fresh machine builds the program: half a minute on 2 cores, with Go and its modules to fetch besides.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def admin(node: SimNode) -> Iterator[Nvml]:
    """Somebody else who makes instances, as finely as NVML lets him."""
    client = Nvml(node.environment())
    yield client
    client.close()


CONTROL_PATHS = {f"/dev/{name}" for name in CONTROL}


def nodes_by_name(spec: Json) -> dict[str, set[str]]:
    """The device nodes of each CDI device, by the path that they have in a container."""
    devices = {device["name"]: device["containerEdits"].get("deviceNodes", []) for device in spec["devices"]}
    return {name: {node["path"] for node in nodes} for name, nodes in devices.items() if name != "all"}


def minors(root: Path) -> dict[str, int]:
    """The driver's table: capability → minor number."""
    table = (root / "proc" / "driver" / "nvidia-caps" / "mig-minors").read_text(encoding="utf-8")
    return {name: int(minor) for name, minor in map(str.split, table.splitlines())}


def nodes_of(instance: Instance, gpu: Gpu, node: SimNode) -> set[str]:
    """What the agent gives a container with this slice, but for the nodes that all containers get."""
    assert gpu.minor is not None
    assert instance.ci is not None
    nodes = device_nodes(node.root).present(Access(gpu.minor, instance.gi, instance.ci))
    return {each.path for each in nodes} - CONTROL_PATHS


def seen_by_agent(driver: DriverProcess, node: SimNode) -> dict[str, set[str]]:
    """Every device under its two names with its nodes, as the agent sees them: whole GPUs where MIG is not on, else slices."""
    found: dict[str, set[str]] = {}
    for gpu in (driver.gpu(index) for index in range(len(node.gpus))):
        if gpu.mig_mode is not MigMode.ENABLED:
            found[str(gpu.index)] = found[gpu.uuid] = {f"/dev/nvidia{gpu.minor}"}
            continue
        by_id = sorted(driver.instances(gpu), key=lambda instance: instance.gi)  # the order of the MIG devices' indices
        for index, instance in enumerate(by_id):
            found[f"{gpu.index}:{index}"] = found[instance.uuid] = nodes_of(instance, gpu, node)
    return found


def test_it_finds_the_devices_that_the_agent_finds(node: SimNode, driver: DriverProcess) -> None:
    """Whole GPUs without MIG, slices by GPU and index and by UUID, each with the nodes of its capabilities; nothing else."""
    for index, profile, start in [(0, "3g.40gb", 4), (0, "1g.10gb", 0), (1, "2g.20gb", 2), (2, "1g.6gb", 3)]:
        node.create_foreign(index, profile, start)
    found = nodes_by_name(cdi_spec(node, "--mode=nvml"))
    assert found == seen_by_agent(driver, node)
    assert {name for name in found if ":" in name} == {"0:0", "0:1", "1:0", "2:0"}
    assert {name for name in found if name.isdigit()} == {"4", "5"}


def test_it_follows_what_the_agent_makes_and_destroys(node: SimNode, driver: DriverProcess) -> None:
    """Every profile of every GPU, made by the agent at its last place: found, with its nodes; destroyed: found no more."""
    gpus = [driver.gpu(index) for index in range(len(node.gpus))]
    whole = seen_by_agent(driver, node)  # no slice is there yet
    for offers in zip_longest(*(gpu.shape.offers for gpu in gpus)):  # one slice on every GPU at a time
        chosen = [(gpu, offer) for gpu, offer in zip(gpus, offers, strict=True) if offer]
        made = [(gpu, driver.create(gpu, Placed(offer.windows()[-1], offer.profile))) for gpu, offer in chosen]
        by_uuid = {slice_.uuid: nodes_of(slice_, gpu, node) for gpu, slice_ in made}
        by_index = {f"{gpu.index}:0": nodes_of(slice_, gpu, node) for gpu, slice_ in made}
        assert nodes_by_name(cdi_spec(node, "--mode=nvml")) == whole | by_uuid | by_index
        for gpu, slice_ in made:
            driver.destroy(gpu, slice_)
    assert nodes_by_name(cdi_spec(node, "--mode=nvml")) == whole


def test_a_divided_gpu_instance_is_as_many_devices(node: SimNode, admin: Nvml) -> None:
    """Three compute instances of one slice each share the node of their GPU instance, and have one each of their own."""
    gpu = admin.nvmlDeviceGetHandleByIndex(1)
    gi = admin.create_at(gpu, ID_3G, 4, 4)
    for _ in range(3):
        admin.nvmlGpuInstanceCreateComputeInstance(gi, CI_1)
    found = nodes_by_name(cdi_spec(node, "--mode=nvml"))
    parts = [found[f"1:{index}"] for index in range(3)]
    (instance,) = node.gpus[1].instances
    table = minors(node.root)
    shared = {"/dev/nvidia1", f"/dev/nvidia-caps/nvidia-cap{table[f'gpu1/gi{instance.id}/access']}"}
    own = [f"/dev/nvidia-caps/nvidia-cap{table[f'gpu1/gi{instance.id}/ci{ci}/access']}" for ci in range(3)]
    assert parts == [shared | {path} for path in own]
    assert [found[compute.uuid] for compute in instance.compute_instances] == parts


def test_one_device_is_found_by_its_uuid_alone(node: SimNode, driver: DriverProcess) -> None:
    """As a runtime asks for the one slice that a container was given."""
    node.create_foreign(0, "1g.10gb", 0)
    node.create_foreign(0, "1g.10gb", 1)
    wanted = driver.instances(driver.gpu(0))[1]
    found = nodes_by_name(cdi_spec(node, "--mode=nvml", f"--device-id={wanted.uuid}"))
    assert found[wanted.uuid] == nodes_of(wanted, driver.gpu(0), node)
    assert {name for name in found if name.startswith("MIG-")} == {wanted.uuid}


def test_the_right_to_change_mig_is_a_device_of_its_own(node: SimNode) -> None:
    """What an agent without root is given: the capabilities `config` and `monitor`, from the driver's root."""
    found = nodes_by_name(cdi_spec(node, "--mode=mig-caps", "--device-id=config", "--device-id=monitor"))
    table = minors(node.root)
    assert found == {name: {f"/dev/nvidia-caps/nvidia-cap{table[name]}"} for name in ("config", "monitor")}


def test_what_every_container_gets_is_what_the_agent_gives(node: SimNode) -> None:
    """The control nodes; and the library of this very driver version, from where the driver lies."""
    edits = cdi_spec(node, "--mode=nvml")["containerEdits"]
    mounts = {mount["hostPath"]: mount["containerPath"] for mount in edits["mounts"]}
    (library,) = (node.root / "usr" / "lib").glob("*/libnvidia-ml.so.*.*")
    assert mounts[str(library)] == f"/{library.relative_to(node.root)}"
    nodes = {item["path"] for item in edits["deviceNodes"]}
    assert nodes - {"/dev/nvidia-modeset"} == CONTROL_PATHS  # that one is for drawing
