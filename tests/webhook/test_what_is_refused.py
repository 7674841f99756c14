"""What cannot work is refused at once, with what to do instead."""

from typing import Any

import pytest

from mig.names import ALLOCATION_ANNOTATION, GATE, POD_LABEL, REQUEST_ANNOTATION
from tests.support.admission import ONE, admitted, container, pod, refusal

MIG = container("main", {ONE: "1"})


@pytest.mark.parametrize(
    "name", ["nvidia.com/mig-foo", "nvidia.com/mig-", "nvidia.com/mig-1c.3g.40gb", "nvidia.com/mig-1g"]
)
def test_a_name_that_is_no_profile_says_how_one_is_written(name: str) -> None:
    """W16."""
    message = refusal(pod(container("main", {name: "1"})))
    assert '"main"' in message
    assert name in message
    assert "nvidia.com/mig-1g.10gb" in message


def test_a_name_beyond_the_api_servers_bound_is_refused_shortly() -> None:
    """W16, W11: such a name is neither parsed nor remembered."""
    message = refusal(pod(container("main", {ONE + "." + "a" * 100_000: "1"})))
    assert "longer than a resource name may be" in message
    assert len(message) < 300


def test_a_wellformed_profile_that_no_gpu_has_is_admitted() -> None:
    """W16: it waits, and its Event says which profiles exist."""
    stored = admitted(pod(container("main", {"nvidia.com/mig-5g.55gb": "1"})))
    assert stored["metadata"]["annotations"][REQUEST_ANNOTATION] == '{"main":"5g.55gb"}'


@pytest.mark.parametrize("kind", ["limits", "requests"])
def test_a_whole_gpu_beside_a_slice_in_one_container_is_refused(kind: str) -> None:
    """W16."""
    resources: dict[str, Any] = {"limits": {ONE: "1"}, "requests": {}}
    resources[kind]["nvidia.com/gpu"] = "1"
    message = refusal(pod({"name": "main", "resources": resources}))
    assert "nvidia.com/gpu" in message
    assert "two containers" in message


def test_a_whole_gpu_in_another_container_or_none_at_all_is_no_obstacle() -> None:
    """W16."""
    other = container("other", {"nvidia.com/gpu": "1"})
    same = container("main", {ONE: "1", "nvidia.com/gpu": "0"})
    assert admitted(pod(same, other))["metadata"]["annotations"][REQUEST_ANNOTATION] == '{"main":"1g.10gb"}'


def test_a_pod_that_names_its_node_is_told_to_use_a_selector() -> None:
    """W20: the API server forbids gates on it."""
    message = refusal(pod(MIG, nodeName="gpu-1"))
    assert "spec.nodeName" in message
    assert "nodeSelector" in message


def test_an_allocation_written_by_a_user_is_refused() -> None:
    """W8: it never yields a device, not even on a Pod that asks for none."""
    metadata = {"name": "p", "annotations": {ALLOCATION_ANNOTATION: "{}"}}
    for sent in (pod(MIG, metadata=metadata), pod(container("main", {ONE: "0"}), metadata=metadata)):
        assert "written by the allocator alone" in refusal(sent)


def test_a_request_annotation_written_by_a_user_is_overwritten() -> None:
    """W8."""
    metadata = {"name": "p", "annotations": {REQUEST_ANNOTATION: '{"main":"7g.80gb"}'}, "labels": {POD_LABEL: "false"}}
    stored = admitted(pod(MIG, metadata=metadata))
    assert stored["metadata"]["annotations"][REQUEST_ANNOTATION] == '{"main":"1g.10gb"}'
    assert stored["metadata"]["labels"][POD_LABEL] == "true"


def test_our_gate_on_a_pod_that_wants_no_device_is_refused() -> None:
    """W8: nothing would ever remove it."""
    message = refusal(pod(container("main", {ONE: "0"}), schedulingGates=[{"name": GATE}]))
    assert "nothing would ever remove the gate" in message


@pytest.mark.parametrize("where", ["containers", "initContainers"])
def test_a_container_with_a_slice_does_not_choose_what_it_sees(where: str) -> None:
    """W8: the variable would win over the one that the device plugin sets."""
    entry = {
        **container("peek", {ONE: "1"}),
        "env": [{"name": "A", "value": "b"}, {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}],
    }
    sent = pod(entry) if where == "containers" else pod(container("main"), initContainers=[entry])
    message = refusal(sent)
    assert '"peek"' in message
    assert "NVIDIA_VISIBLE_DEVICES" in message


def test_a_container_without_a_slice_may_set_the_variable() -> None:
    """`void` keeps an image's own setting from taking effect, say."""
    other = container("other", env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}])
    assert POD_LABEL in admitted(pod(MIG, other))["metadata"]["labels"]


def test_two_containers_of_one_name_are_refused() -> None:
    """They would share one entry of the annotation."""
    assert "used twice" in refusal(pod(MIG, container("other"), initContainers=[container("main")]))


@pytest.mark.parametrize(
    ("resources", "allowed"),
    [
        ({"limits": {ONE: "1"}}, True),
        ({"limits": {ONE: "1"}, "requests": {ONE: "1"}}, True),
        ({"limits": {ONE: "1"}, "requests": {ONE: "1000m"}}, True),
        ({"limits": {ONE: "1"}, "requests": {"cpu": "1"}}, True),
        ({"requests": {ONE: "1"}}, False),
        ({"requests": {ONE: "0"}}, False),
        ({"limits": {ONE: "1"}, "requests": {ONE: "0"}}, False),
        ({"limits": {ONE: "0"}, "requests": {ONE: "1"}}, False),
        ({"limits": {ONE: "1"}, "requests": {ONE: "2"}}, False),
    ],
)
def test_requests_and_limits_follow_the_rule_for_extended_resources(
    resources: dict[str, Any], *, allowed: bool
) -> None:
    """W5: a limit alone will do; a request needs an equal limit."""
    sent = pod({"name": "main", "resources": resources})
    if allowed:
        assert POD_LABEL in admitted(sent)["metadata"]["labels"]
    else:
        assert "resources.limits" in refusal(sent)
