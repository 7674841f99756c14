"""What is told when the plugin does not do its part names where to look and what to do."""

from typing import Any

from nodeagent.nvidia.entries import Entry
from nodeagent.nvidia.pods import PluginPod, plugin_pod
from nodeagent.nvidia.symptoms import Symptom, symptom

RUNS = PluginPod("gpu-operator", "plugin-x", "u", running=True, terminating=False, restarts=0, why="")
NONE: frozenset[Entry] = frozenset()


def told(
    *pods: PluginPod, missing: frozenset[Entry] = NONE, gone: frozenset[Entry] = NONE, cut_up: tuple[str, ...] = ()
) -> Symptom:
    found = symptom(pods=pods, where="in any namespace", missing=missing, gone=gone, cut_up=cut_up)
    assert found is not None
    return found


def container(state: dict[str, Any], restarts: int = 0) -> dict[str, Any]:
    return {"state": state, "restartCount": restarts}


def pod(status: dict[str, Any], **metadata: str) -> PluginPod:
    return plugin_pod(
        {"metadata": {"namespace": "gpu-operator", "name": "plugin-x", "uid": "u", **metadata}, "status": status}
    )


def test_nothing_is_told_of_a_plugin_that_works() -> None:
    assert symptom(pods=[RUNS], where="", missing=NONE, gone=NONE, cut_up=["1c.3g.40gb"]) is None


def test_a_plugin_that_nobody_installed_is_told_with_the_values_to_set() -> None:
    """Or one that the selector does not match."""
    sentence = told().sentence
    for words in (
        "no Pod",
        "in any namespace",
        "strategy mixed",
        "nodeAgent.nvidiaDevicePlugin (namespace, selectors)",
        "nodeAgent.devicePlugin=own",
    ):
        assert words in sentence


def test_a_plugin_that_fails_is_told_with_its_reason_and_its_log() -> None:
    """An instance with several compute instances is named as the likely reason."""
    crashed = container({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}, restarts=7)
    failing = pod({"phase": "Running", "containerStatuses": [crashed]})
    sentence = told(failing, cut_up=("3g.40gb at 4 of GPU 1",)).sentence
    assert "gpu-operator/plugin-x (CrashLoopBackOff back-off 5m0s)" in sentence
    assert "kubectl -n gpu-operator logs plugin-x" in sentence
    assert "several compute instances (3g.40gb at 4 of GPU 1)" in sentence
    assert "likely" not in told(failing).sentence


def test_a_plugin_that_does_not_list_a_slice_is_asked_for_its_strategy() -> None:
    new, old = Entry("nvidia.com/mig-4g.40gb", "MIG-x"), Entry("nvidia.com/mig-3g.40gb", "MIG-x")
    sentence = told(RUNS, missing=frozenset({new}), gone=frozenset({old})).sentence
    assert "does not list MIG-x as nvidia.com/mig-4g.40gb" in sentence
    assert "still lists MIG-x as nvidia.com/mig-3g.40gb" in sentence
    assert "mixed" in sentence


def test_each_start_of_its_container_is_another_process() -> None:
    """Each enumerates; a Pod runs only when all its containers do."""
    first = pod({"phase": "Running", "containerStatuses": [container({"running": {}})]})
    again = pod({"phase": "Running", "containerStatuses": [container({"running": {}}, restarts=1)]})
    half = pod({"phase": "Running", "containerStatuses": [container({"running": {}}), container({"terminated": {}})]})
    assert (first.running, again.running, half.running) == (True, True, False)
    assert first.process != again.process
    assert not pod({"phase": "Pending"}).running
    assert pod({}, deletionTimestamp="2026-01-01T00:00:00Z").terminating
