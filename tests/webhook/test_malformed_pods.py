"""A Pod whose JSON has the wrong shape is refused with the path of what is wrong, and never with an exception."""

from typing import Any

import pytest

from tests.support.admission import ONE, container, pod, refusal, request
from webhook.verdict import Denied, verdict

MIG = container("main", {ONE: "1"})


@pytest.mark.parametrize(
    ("sent", "where"),
    [
        ([], "the Pod"),
        ("Pod", "the Pod"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"annotations": "a=b"}}, "metadata.annotations"),
        ({"metadata": {"labels": [1]}, "spec": {"containers": [MIG]}}, "metadata.labels"),
        ({"spec": [MIG]}, "spec"),
        ({"spec": {"containers": MIG}}, "spec.containers"),
        ({"spec": {"containers": [None]}}, "spec.containers[0]"),
        ({"spec": {"containers": [MIG, "x"]}}, "spec.containers[1]"),
        ({"spec": {"containers": [{"resources": {}}]}}, "spec.containers[0].name"),
        ({"spec": {"containers": [{"name": 3}]}}, "spec.containers[0].name"),
        ({"spec": {"initContainers": [{"name": "a", "resources": 1}]}}, "spec.initContainers[0].resources"),
        (
            {"spec": {"containers": [{"name": "a", "resources": {"limits": [ONE]}}]}},
            "spec.containers[0].resources.limits",
        ),
        (
            {"spec": {"containers": [{"name": "a", "resources": {"requests": ONE}}]}},
            "spec.containers[0].resources.requests",
        ),
        (pod({**MIG, "env": {"A": "b"}}), "spec.containers[0].env"),
        (pod({**MIG, "env": ["A"]}), "spec.containers[0].env[0]"),
        (pod(MIG, schedulingGates={"name": "x"}), "spec.schedulingGates"),
        (pod(MIG, schedulingGates=["x"]), "spec.schedulingGates[0]"),
    ],
)
def test_the_message_names_the_path(sent: Any, where: str) -> None:
    judged = verdict(request(sent))
    assert isinstance(judged, Denied)
    assert judged.code == 400
    assert judged.message.startswith(where)


def test_a_creation_without_an_object_is_refused() -> None:
    assert "carries no Pod" in refusal(None)  # type: ignore[arg-type]  # what no API server sends


def test_a_users_text_is_quoted_and_cut_short() -> None:
    """W11: what comes back is bounded and one line of UTF-8, so that no log and no answer breaks on it."""
    message = refusal(pod(container("ü\n\ud800" + "x" * 10**6, {ONE: "2"})))
    assert message.encode()
    assert "\n" not in message
    assert len(message) < 500


def test_however_much_is_wrong_the_message_is_bounded() -> None:
    limits = {f"nvidia.com/mig-{slices}g.{memory}gb": "1" for slices in range(1, 9) for memory in range(1, 200)}
    assert len(refusal(pod(container("main", limits)))) < 600
