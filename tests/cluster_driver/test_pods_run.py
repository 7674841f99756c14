"""Pods on a node come out as their commands say."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from cluster import Cluster, CommandError, Node


def pod(name: str, *commands: list[str], **spec: Any) -> dict[str, Any]:
    containers = [
        {"name": f"c{index}", "image": "busybox:latest", "command": command} for index, command in enumerate(commands)
    ]
    spec = {"restartPolicy": "Never", "containers": containers, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def create(cluster: Cluster, *pods: dict[str, Any]) -> None:
    cluster.kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))


def read(cluster: Cluster, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(cluster.kubectl("get", "pod", name, "-o", "json"))
    return answer


def wait_for(cluster: Cluster, name: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 20.0
    while not condition(found := read(cluster, name)):
        assert time.monotonic() < deadline, found["status"]
        time.sleep(0.2)
    return found


def wait_phase(cluster: Cluster, name: str, phase: str) -> dict[str, Any]:
    return wait_for(cluster, name, lambda found: bool(found["status"]["phase"] == phase))


COMPLETING: dict[str, tuple[list[str], str, int]] = {
    "sleep": (["sleep", "1"], "Succeeded", 0),
    "fraction": (["/bin/sleep", "0.5"], "Succeeded", 0),
    "true": (["true"], "Succeeded", 0),
    "false": (["false"], "Failed", 1),
    "exit": (["sh", "-c", "exit 3"], "Failed", 3),
    "script": (["/bin/sh", "-c", "sleep 0.2; exit 4"], "Failed", 4),
    "chain": (["sh", "-ec", "false && exit 5"], "Failed", 1),
}


@pytest.fixture(scope="module")
def completing(driven_cluster: Cluster, node: Node) -> Cluster:
    """All of them at once: one after the other they would take a while."""
    assert node.name
    create(driven_cluster, *(pod(name, command) for name, (command, _, _) in COMPLETING.items()))
    return driven_cluster


@pytest.mark.parametrize("name", COMPLETING)
def test_a_pod_completes_as_its_command_says(completing: Cluster, name: str) -> None:
    _, phase, code = COMPLETING[name]

    found = wait_phase(completing, name, phase)

    assert found["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == code


@pytest.mark.usefixtures("node")
def test_a_pod_sleeps_as_long_as_it_says(driven_cluster: Cluster) -> None:
    create(driven_cluster, pod("two-seconds", ["sleep", "2"]))

    found = wait_phase(driven_cluster, "two-seconds", "Succeeded")

    ended = found["status"]["containerStatuses"][0]["state"]["terminated"]
    seconds = [int(ended[field][17:19]) for field in ("startedAt", "finishedAt")]
    assert (seconds[1] - seconds[0]) % 60 == 2


@pytest.mark.usefixtures("node")
def test_any_other_command_runs_until_it_is_stopped(driven_cluster: Cluster) -> None:
    create(driven_cluster, pod("server", ["serve", "--for", "ever"]), pod("infinite", ["sleep", "infinity"]))

    wait_phase(driven_cluster, "server", "Running")
    wait_phase(driven_cluster, "infinite", "Running")
    began = time.monotonic()
    driven_cluster.kubectl("delete", "pod", "server", "infinite")

    assert time.monotonic() - began < 10.0, "a stop ends it at once, not after its grace of 30 s"
    with pytest.raises(CommandError, match="not found"):
        read(driven_cluster, "server")


@pytest.mark.usefixtures("node")
def test_a_program_that_ignores_sigterm_dies_at_the_end_of_its_grace(driven_cluster: Cluster) -> None:
    stubborn = pod("stubborn", ["sh", "-c", "trap '' TERM; sleep infinity"], terminationGracePeriodSeconds=3)
    create(driven_cluster, stubborn)
    wait_phase(driven_cluster, "stubborn", "Running")

    began = time.monotonic()
    driven_cluster.kubectl("delete", "pod", "stubborn")

    assert 3.0 <= time.monotonic() - began < 10.0


def test_a_failed_container_is_started_again_as_a_new_attempt(driven_cluster: Cluster, node: Node) -> None:
    create(driven_cluster, pod("again", ["sh", "-c", "sleep 0.1; exit 1"], restartPolicy="Always"))

    wait_for(
        driven_cluster,
        "again",
        lambda found: any(status["restartCount"] >= 1 for status in found["status"].get("containerStatuses", [])),
    )

    assert (node.containers_dir / "default_again_c0_1.json").exists()
    driven_cluster.kubectl("delete", "pod", "again")
    assert not list(node.containers_dir.glob("default_again_*")), "records go with their containers"


@pytest.mark.usefixtures("node")
def test_init_containers_and_sidecars_take_their_turn(driven_cluster: Cluster) -> None:
    init = [
        {"name": "first", "image": "busybox:latest", "command": ["sleep", "0.3"]},
        {"name": "beside", "image": "busybox:latest", "command": ["serve"], "restartPolicy": "Always"},
    ]
    create(driven_cluster, pod("with-init", ["sleep", "1"], ["sleep", "0.5"], initContainers=init))

    found = wait_phase(driven_cluster, "with-init", "Succeeded")

    first, _ = found["status"]["initContainerStatuses"]
    mains = found["status"]["containerStatuses"]
    assert first["state"]["terminated"]["exitCode"] == 0
    assert all(main["state"]["terminated"]["startedAt"] >= first["state"]["terminated"]["finishedAt"] for main in mains)


def test_what_a_container_was_given_can_be_read(driven_cluster: Cluster, node: Node) -> None:
    asking = pod("asking", ["serve"])
    asking["spec"]["containers"][0]["env"] = [{"name": "COLOUR", "value": "green"}]
    create(driven_cluster, asking)
    found = wait_phase(driven_cluster, "asking", "Running")

    record = json.loads((node.containers_dir / "default_asking_c0_0.json").read_text())

    assert record["env"]["COLOUR"] == "green"
    assert record["command"] == ["serve"]
    assert record["podUID"] == found["metadata"]["uid"]
    assert found["status"]["containerStatuses"][0]["containerID"] == f"pretend://{record['id']}"
    assert "/var/run/secrets/kubernetes.io/serviceaccount" in {mount["containerPath"] for mount in record["mounts"]}
    assert record["devices"] == []
    assert record["cdiDevices"] == []


def test_a_node_carries_its_labels(driven_cluster: Cluster, node: Node) -> None:
    assert driven_cluster.kubectl("get", "nodes", "-l", "example.com/rack=r1", "-o", "name").split() == [
        f"node/{node.name}"
    ]


def test_containers_outlive_a_restart_of_the_kubelet(driven_cluster: Cluster, node: Node) -> None:
    create(driven_cluster, pod("outliving", ["serve"]), pod("meanwhile", ["sleep", "2"]))
    before = wait_phase(driven_cluster, "outliving", "Running")["status"]["containerStatuses"][0]
    wait_for(driven_cluster, "meanwhile", lambda found: found["status"]["phase"] != "Pending")

    node.restart_kubelet()

    wait_phase(driven_cluster, "meanwhile", "Succeeded")
    after = read(driven_cluster, "outliving")["status"]["containerStatuses"][0]
    assert after["containerID"] == before["containerID"]
    assert after["restartCount"] == 0
