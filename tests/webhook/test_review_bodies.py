"""W11: a body that is no review is told apart in bounded time, and a review is read and answered to the letter."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.admission import ONE, UID, container, patch_of, pod, review
from webhook.review import Review, ReviewError, answer, read_review
from webhook.strictjson import MAX_DEPTH, JsonError, deeper_than, parse
from webhook.verdict import Allowed, Denied

GOOD = review(pod(container("main", {ONE: "1"})))
MEGABYTE = 2**20


def changed(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def changed_request(**fields: Any) -> bytes:
    return changed(request={**GOOD["request"], **fields})


MALFORMED = {
    "empty": b"",
    "blank": b" \n ",
    "no JSON": b"<html>502</html>",
    "truncated": json.dumps(GOOD).encode()[:-5],
    "two documents": b"{} {}",
    "invalid UTF-8": b'{"kind": "\xff"}',
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"kind": NaN}',
    "Infinity": b'{"kind": -Infinity}',
    "duplicate keys": json.dumps(GOOD).encode().replace(b'"uid"', b'"uid": "x", "uid"', 1),
    "duplicate keys within": b'{"a": [{"b": {"c": 1, "c": 1}}]}',
    "nested 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "opened 3 million times": b"[" * 3 * MEGABYTE,
    "deep siblings": b"[" + b"[[]," * 100_000 + b"1" + b"]" * 100_000,
    "quotes": b'"' * 3 * MEGABYTE,
    "backslashes in an open string": b"[" * 60 + b'"' + b'\\"' * MEGABYTE,
    "a number of a million digits": b"1" * MEGABYTE,
    "an array": b"[]",
    "null": b"null",
    "wrong kind": changed(kind="Pod"),
    "v1beta1": changed(apiVersion="admission.k8s.io/v1beta1"),
    "no request": changed(request=None),
    "request a list": changed(request=[]),
    "no uid": changed_request(uid=None),
    "empty uid": changed_request(uid=""),
    "uid a number": changed_request(uid=7),
    "endless uid": changed_request(uid="x" * 10_000),
    "no operation": changed_request(operation=None),
    "odd operation": changed_request(operation="PATCH"),
    "dryRun a text": changed_request(dryRun="yes"),
    "kind a text": changed_request(kind="Pod"),
    "object a text": changed_request(object="Pod"),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_review_is_refused_within_100_ms(body: bytes) -> None:
    began = time.thread_time()
    with pytest.raises(ReviewError) as raised:
        read_review(body)
    assert time.thread_time() - began < 0.1
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 300


def test_a_review_is_read_with_what_the_answer_needs() -> None:
    assert read_review(changed()) == Review(UID, dry_run=False, request=GOOD["request"])
    assert read_review(changed_request(dryRun=True)).dry_run


@pytest.mark.parametrize("left_out", ["dryRun", "object", "oldObject", "namespace", "name", "resource"])
def test_what_a_request_may_lack_is_no_fault(left_out: str) -> None:
    """W7, W12: DELETE has no object, and generateName no name."""
    request = {key: value for key, value in GOOD["request"].items() if key != left_out}
    assert read_review(changed(request=request)).uid == UID


def test_an_allowed_pod_is_answered_with_its_uid_and_a_patch() -> None:
    operation = {"op": "add", "path": "/spec/schedulingGates/-", "value": {"name": "\ud800ü"}}
    answered = json.loads(answer(read_review(changed()), Allowed((operation,))))
    assert answered["apiVersion"] == "admission.k8s.io/v1"
    assert answered["kind"] == "AdmissionReview"
    assert answered["response"].keys() == {"uid", "allowed", "patch", "patchType"}
    assert answered["response"]["uid"] == UID
    assert answered["response"]["allowed"] is True
    assert patch_of(answered) == [operation]


def test_an_unchanged_pod_is_answered_without_a_patch() -> None:
    """W1: the API server refuses an empty patch type."""
    assert json.loads(answer(read_review(changed()), Allowed()))["response"] == {"uid": UID, "allowed": True}


def test_a_denied_pod_is_answered_with_its_message() -> None:
    response = json.loads(answer(read_review(changed()), Denied("no: “x”", 403)))["response"]
    assert response["allowed"] is False
    assert response["status"] == {"status": "Failure", "code": 403, "reason": "Forbidden", "message": "no: “x”"}


NESTED = st.recursive(
    st.text(alphabet='[]{}"\\a', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


def depth_of(document: object) -> int:
    """How deep it nests, by walking it."""
    if isinstance(document, dict):
        document = list(document.values())
    return 1 + max(map(depth_of, document), default=0) if isinstance(document, list) else 0


@given(NESTED, st.integers(0, 6))
@settings(max_examples=500, deadline=None)
def test_the_depth_is_the_one_that_the_document_has(document: object, bound: int) -> None:
    """Brackets and quotes within strings count for nothing."""
    assert deeper_than(json.dumps(document).encode(), bound) == (depth_of(document) > bound)


@pytest.mark.parametrize("more", [0, 1])
def test_the_depth_bound_is_exact(more: int) -> None:
    body = b"[" * (MAX_DEPTH + more) + b"]" * (MAX_DEPTH + more)
    if more:
        with pytest.raises(JsonError, match="nested deeper than 50 levels"):
            parse(body)
    else:
        assert depth_of(parse(body)) == MAX_DEPTH


@given(st.binary(max_size=200) | st.text(alphabet='[]{}",:\\u0041eE+-. ', max_size=60).map(str.encode))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing but `ReviewError` ever comes out."""
    try:
        read_review(body)
    except ReviewError:
        return
    raise AssertionError(f"{body!r} is no review")
