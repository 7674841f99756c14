"""An `expected-duration` that cannot be read is said to whoever creates the Pod, and never refuses it."""

import json
from typing import Any

import pytest

from mig.names import DURATION_ANNOTATION
from tests.support.admission import ONE, admitted, container, patch_of, pod, request, review
from tests.webhook.conftest import Running
from webhook.review import answer, read_review
from webhook.verdict import Allowed, verdict

MIG = container("main", {ONE: "1"})


def declaring(value: object, *containers: dict[str, Any]) -> dict[str, Any]:
    return pod(*(containers or (MIG,)), metadata={"name": "p", "annotations": {DURATION_ANNOTATION: value}})


def warnings(sent: dict[str, Any]) -> tuple[str, ...]:
    judged = verdict(request(sent))
    assert isinstance(judged, Allowed)
    return judged.warnings


def test_a_duration_that_can_be_read_is_admitted_without_a_word() -> None:
    assert warnings(declaring("2h30m")) == ()
    assert warnings(declaring("5400")) == ()


def test_a_pod_that_declares_nothing_is_admitted_without_a_word() -> None:
    assert warnings(pod(MIG)) == ()


@pytest.mark.parametrize("value", ["2 days", "", "-5m", "0", "1d", "soon " * 99, "ein\nTag\x07", 90, {"a": []}])
def test_one_that_cannot_be_read_warns_in_one_short_line_and_the_pod_is_gated_as_any_other(value: object) -> None:
    """A12: the API server hands a warning on in an HTTP header, whole up to 256 characters."""
    sent = declaring(value)
    (said,) = warnings(sent)
    assert DURATION_ANNOTATION in said
    assert "is ignored" in said
    assert "write 90m, 36h or seconds" in said
    assert len(said) <= 150
    assert said.isprintable()
    assert admitted(sent)["spec"]["schedulingGates"]


def test_a_pod_that_asks_for_no_slice_hears_nothing_of_it() -> None:
    assert warnings(declaring("soon", container("main"))) == ()


def test_the_answer_carries_the_warning_beside_the_patch() -> None:
    asked = read_review(json.dumps(review(declaring("soon"))).encode())
    response = json.loads(answer(asked, verdict(asked.request)))["response"]
    assert response["allowed"] is True
    assert response["patch"]
    assert len(response["warnings"]) == 1


def test_an_answer_without_a_warning_has_no_list_of_them() -> None:
    asked = read_review(json.dumps(review(pod(MIG))).encode())
    assert "warnings" not in json.loads(answer(asked, verdict(asked.request)))["response"]


async def test_the_warning_arrives_over_tls(webhook: Running) -> None:
    async with webhook.session() as client, client.post(webhook.url, json=review(declaring("soon"))) as response:
        answered = await response.json()
    assert len(patch_of(answered)) == 3
    assert "soon" in answered["response"]["warnings"][0]
