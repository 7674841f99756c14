"""Each container may have one MIG device; who asks for more is told which container, which rule and what to ask for."""

import json

import pytest

from mig.names import REQUEST_ANNOTATION
from tests.support.admission import ONE, THREE, TWO, admitted, container, pod, refusal


def request_in(stored: dict[str, dict[str, dict[str, str]]]) -> object:
    return json.loads(stored["metadata"]["annotations"][REQUEST_ANNOTATION])


def test_one_device_in_one_container_is_recorded() -> None:
    """W1: the demand is written down as container → profile."""
    assert request_in(admitted(pod(container("main", {ONE: "1"}), container("log")))) == {"main": "1g.10gb"}


def test_two_containers_with_one_device_each_are_two_demands() -> None:
    """W3."""
    stored = admitted(pod(container("a", {ONE: "1"}), container("b", {THREE: "1"})))
    assert request_in(stored) == {"a": "1g.10gb", "b": "3g.40gb"}


def test_init_containers_and_sidecars_are_recorded_too() -> None:
    """W6: each container that asks is listed, whether or not they share a slice in the end."""
    first = container("load", {ONE: "1"})
    sidecar = container("proxy", {TWO: "1"}, restartPolicy="Always")
    stored = admitted(pod(container("main", {ONE: "1"}), initContainers=[first, sidecar]))
    assert request_in(stored) == {"load": "1g.10gb", "proxy": "2g.20gb", "main": "1g.10gb"}


def test_a_media_profile_is_recorded_by_its_drivers_name() -> None:
    stored = admitted(pod(container("main", {"nvidia.com/mig-1g.10gb.me": "1"})))
    assert request_in(stored) == {"main": "1g.10gb+me"}


def test_two_of_a_profile_are_refused_with_the_container_the_rule_and_a_larger_profile() -> None:
    """W2."""
    message = refusal(pod(container("side"), container("main", {ONE: "2"})))
    assert '"main"' in message
    assert "asks for 2 MIG devices (nvidia.com/mig-1g.10gb: 2)" in message
    assert "at most one" in message
    assert "for example nvidia.com/mig-2g.20gb: 1" in message


def test_one_each_of_two_profiles_are_refused_naming_both() -> None:
    """W2."""
    message = refusal(pod(container("main", {ONE: "1", TWO: "1"})))
    assert "nvidia.com/mig-1g.10gb: 1, nvidia.com/mig-2g.20gb: 1" in message
    assert "for example nvidia.com/mig-3g.40gb: 1" in message


def test_an_init_container_is_held_to_the_same_rule() -> None:
    """W2, W6."""
    assert '"load"' in refusal(pod(container("main"), initContainers=[container("load", {ONE: "2"})]))


def test_more_than_any_gpu_has_is_refused_without_a_made_up_profile() -> None:
    """W2: no suggestion is better than a wrong one."""
    message = refusal(pod(container("main", {ONE: "100"})))
    assert "kubectl get migspecs" in message
    assert "for example" not in message


@pytest.mark.parametrize("quantity", ["1", 1, "1000m", "1e0", "1.0", "+1", "0.001k"])
def test_one_may_be_written_in_every_way_kubernetes_reads(quantity: object) -> None:
    """W4."""
    assert request_in(admitted(pod(container("main", {ONE: quantity})))) == {"main": "1g.10gb"}


@pytest.mark.parametrize("quantity", ["0", 0, "0m", "0.0", "0e5"])
def test_zero_is_none(quantity: object) -> None:
    """W4: the Pod passes as it is."""
    sent = pod(container("main", {ONE: quantity}))
    assert admitted(sent) == sent


@pytest.mark.parametrize("quantity", ["0", 0])
def test_zero_of_one_profile_beside_one_of_another_is_one(quantity: object) -> None:
    """W4."""
    assert request_in(admitted(pod(container("main", {ONE: quantity, TWO: "1"})))) == {"main": "2g.20gb"}


@pytest.mark.parametrize(
    "quantity",
    [
        "-1",
        "0.5",
        "1 ",
        " 1",
        "abc",
        "",
        "1e400",
        "1e-400",
        "500m",
        "1Q",
        None,
        True,
        1.0,
        [],
        {},
        "9" * 5000,
        "\ud800",
    ],
)
def test_what_is_no_whole_number_is_refused_naming_container_and_resource(quantity: object) -> None:
    """W4: refused in words, never by an exception."""
    message = refusal(pod(container("main", {ONE: quantity})))
    assert '"main"' in message
    assert ONE in message
    assert len(message) < 400
