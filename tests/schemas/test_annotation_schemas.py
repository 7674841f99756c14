"""Both annotations: what our writers write is accepted, what a stranger may have written is refused with its place."""

import json

import pytest

from mig.demand import Allotment, allocation_to_annotation, needs_of, request_of, request_to_annotation
from schemas import Name, check

SPEC = {
    "initContainers": [{"name": "warm-up", "resources": {"limits": {"nvidia.com/mig-1g.10gb.me": 1}}}],
    "containers": [
        {"name": "a", "resources": {"limits": {"nvidia.com/mig-1g.10gb.me": "1"}}},
        {"name": "b", "resources": {"limits": {"nvidia.com/mig-3g.40gb": "1"}}},
    ],
}


def test_what_the_webhook_writes_is_a_request() -> None:
    assert check("mig-request", json.loads(request_to_annotation(request_of(SPEC)))) == []


def test_what_the_allocator_writes_is_an_allocation() -> None:
    """A device that goes from an init container to a later one is listed for both."""
    needs = needs_of(SPEC)
    where = {need.container: Allotment("n1", "GPU-1", need.profile, place) for place, need in enumerate(needs)}
    allocation = json.loads(allocation_to_annotation(needs, where))
    assert set(allocation) == {"warm-up", "a", "b"}
    assert check("mig-allocation", allocation) == []


PLACE = {"node": "n1", "gpu": "GPU-1", "profile": "1g.10gb", "start": 0}


@pytest.mark.parametrize(
    ("name", "document", "where"),
    [
        ("mig-request", [], "(document): "),
        ("mig-request", {}, "(document): "),
        ("mig-request", {"a": "1g"}, "a: "),
        ("mig-request", {"a": 1}, "a: "),
        ("mig-request", {"A_b": "1g.10gb"}, "(document): "),
        ("mig-allocation", None, "(document): "),
        ("mig-allocation", {}, "(document): "),
        ("mig-allocation", {"a": "1g.10gb"}, "a: "),
        ("mig-allocation", {"a": {**PLACE, "start": "0"}}, "a.start: "),
        ("mig-allocation", {"a": {**PLACE, "start": -1}}, "a.start: "),
        ("mig-allocation", {"a": {**PLACE, "gpu": ""}}, "a.gpu: "),
        ("mig-allocation", {"a": {"node": "n1"}}, "a: "),
    ],
)
def test_anything_else_is_refused_with_its_place(name: Name, document: object, where: str) -> None:
    """W8: a user may have written it."""
    errors = check(name, document)
    assert errors
    assert all(error.startswith(where) for error in errors), errors
