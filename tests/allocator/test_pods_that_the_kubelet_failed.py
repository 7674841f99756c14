"""Claims of Pods that ended: released for all, and told to those that the kubelet failed (N8)."""

import asyncio
from typing import Any

import pytest

from allocator.obituaries import Obituaries
from kube.events import ObjectRef
from tests.allocator.storeapi import PODS
from tests.allocator.world import World, world

REFUSED = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "no plugin is registered"}


def told(w: World) -> list[tuple[str, str, str]]:
    """What the Pods of the claims that were released are told: their name, the reason and the note."""
    said: list[tuple[str, str, str]] = []

    def emit(regarding: ObjectRef, *, warning: bool = False, reason: str, action: str, note: str) -> None:
        assert warning
        assert action
        said.append((regarding.name, reason, note))

    async def tell() -> None:
        obituaries = Obituaries(w.leader.api, emit)
        obituaries.released(w.leader.released)
        for _ in {spot.claim.uid for spot in w.leader.released}:
            await obituaries.tell_next()

    asyncio.run(tell())
    return said


def running(w: World, name: str, *profiles: str) -> str:
    """A Pod that has its slices; its uid."""
    uid = w.add_pod(name, *profiles)
    w.run()
    assert w.bound_to(name) == "n1"
    return uid


def test_a_pod_that_the_kubelet_failed_loses_its_claims_and_is_told_why() -> None:
    """N8: what a reboot does to every Pod with devices."""
    with world() as w:
        uid = running(w, "a", "1g.10gb", "2g.20gb")
        w.patch(PODS, "a", status=REFUSED)
        w.run()
        assert w.claims(uid) == []
        assert len(w.slices("n1")) == 2
        ((name, reason, note),) = told(w)
        assert (name, reason) == ("a", "MigReleased")
        assert "UnexpectedAdmissionError: no plugin is registered" in note
        assert "1g.10gb at" in note
        assert "2g.20gb at" in note
        assert "its controller makes a new one" in note


@pytest.mark.parametrize("status", [{"phase": "Succeeded"}, {"phase": "Failed"}], ids=["succeeded", "failed by itself"])
def test_a_pod_that_ended_by_itself_is_released_without_a_word(status: dict[str, Any]) -> None:
    with world() as w:
        uid = running(w, "a", "1g.10gb")
        w.patch(PODS, "a", status=status)
        w.run()
        assert w.claims(uid) == []
        assert [spot.claim.uid for spot in w.leader.released] == [uid]
        assert told(w) == []


def test_a_pod_that_is_gone_and_its_namesake_are_not_told() -> None:
    with world() as w:
        running(w, "a", "1g.10gb")
        running(w, "b", "1g.10gb")
        w.delete_pod("a")
        w.delete_pod("b")
        w.add_pod("b", "1g.10gb")
        w.patch(PODS, "b", status=REFUSED)
        w.run()
        assert len(w.leader.released) == 2
        assert told(w) == []


def test_a_claim_that_moves_is_not_released() -> None:
    """Its Pod lives."""
    with world(nodes=2) as w:
        uid = w.add_pod("a", "1g.10gb")
        w.round()
        (home,) = {node for node, *_ in w.claims(uid)}
        w.patch("api/v1/nodes", home, spec={"unschedulable": True})
        w.run()
        assert w.bound_to("a") not in ("", home)
        assert w.leader.released == []
