"""The patch adds our gate, label and annotation, and touches nothing else, whatever the Pod carries already."""

import copy
from typing import Any

import pytest

from mig.names import GATE, POD_LABEL, REQUEST_ANNOTATION
from tests.support.admission import ONE, admitted, container, pod, request
from tests.support.patches import json_patch
from webhook.patch import escaped
from webhook.verdict import Allowed, verdict

MIG = container("main", {ONE: "1"})


def without_ours(stored: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Take our three additions out again, and the parents that the sent Pod had not."""
    rest = copy.deepcopy(stored)
    del rest["metadata"]["labels"][POD_LABEL]
    del rest["metadata"]["annotations"][REQUEST_ANNOTATION]
    rest["spec"]["schedulingGates"] = [gate for gate in rest["spec"]["schedulingGates"] if gate["name"] != GATE]
    for parent, key in (("metadata", "labels"), ("metadata", "annotations"), ("spec", "schedulingGates")):
        if not like.get(parent, {}).get(key):
            assert not rest[parent].pop(key)
            if key in like.get(parent, {}):
                rest[parent][key] = like[parent][key]
    if "metadata" not in like:
        assert not rest.pop("metadata")
    return rest


@pytest.mark.parametrize(
    "sent",
    [
        pod(MIG),
        pod(MIG, metadata={"generateName": "train-"}),
        pod(MIG, metadata={"labels": None, "annotations": None}, schedulingGates=None),
        pod(MIG, metadata={"labels": {}, "annotations": {}}, schedulingGates=[]),
        pod(MIG, metadata={"name": "p", "labels": {"a/b": "1"}, "annotations": {"x/~y~1": "~0/", "z": ""}}),
        pod(MIG, schedulingGates=[{"name": "kueue.x-k8s.io/admission"}, {"name": "other.example/gate"}]),
        pod(MIG, metadata={"name": "p", "newField": {"deep": [1, 2.5, None]}}, futureField={"a": ["b"]}, priority=7),
        {"spec": {"containers": [MIG]}},
    ],
    ids=["plain", "generateName", "nulls", "empty", "odd keys", "other gates", "future fields", "no metadata"],
)
def test_only_gate_label_and_annotation_are_added(sent: dict[str, Any]) -> None:
    """W1, W7, W13, W15, W21: what the Pod brought is there afterwards, unchanged and in its order."""
    before = copy.deepcopy(sent)
    stored = admitted(sent)
    assert sent == before
    assert stored["metadata"]["labels"][POD_LABEL] == "true"
    assert stored["spec"]["schedulingGates"][-1] == {"name": GATE}
    assert without_ours(stored, like=sent) == sent


@pytest.mark.parametrize("label", ["true", "no"])
def test_a_second_look_at_the_same_pod_changes_nothing(label: str) -> None:
    """W1, W15: the API server may call again after other webhooks; what they added stays."""
    stored = admitted(pod(MIG, metadata={"name": "p", "labels": {POD_LABEL: label}}))
    stored["metadata"]["annotations"]["injected.example/by"] = "another webhook"
    assert verdict(request(stored)) == Allowed()


def test_a_container_that_another_webhook_added_is_recorded_at_the_second_call() -> None:
    """W15: reinvocation sees the Pod as it is by then."""
    stored = admitted(pod(MIG))
    stored["spec"]["containers"].append(container("injected", {ONE: "1"}))
    assert admitted(stored)["metadata"]["annotations"][REQUEST_ANNOTATION] == '{"injected":"1g.10gb","main":"1g.10gb"}'


def test_the_patch_applies_beside_what_another_webhook_wrote_in_between() -> None:
    """W15: single keys are added, never whole maps that exist."""
    sent = pod(MIG, metadata={"name": "p", "labels": {"app": "x"}, "annotations": {"a": "1"}})
    judged = verdict(request(sent))
    assert isinstance(judged, Allowed)
    sent["metadata"]["annotations"]["b"] = "2"
    sent["spec"]["schedulingGates"] = None
    stored = json_patch(sent, judged.patch)
    assert stored["metadata"]["annotations"].keys() == {"a", "b", REQUEST_ANNOTATION}


@pytest.mark.parametrize(("key", "token"), [("a/b", "a~1b"), ("a~b", "a~0b"), ("~1", "~01"), ("plain", "plain")])
def test_keys_become_json_pointer_tokens(key: str, token: str) -> None:
    """W15, RFC 6901."""
    assert escaped(key) == token
