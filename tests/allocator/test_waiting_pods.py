"""Pods that wait: in order, with their reason, in good time."""

import pytest

from tests.allocator.storeapi import NODES, PODS
from tests.allocator.world import world


def test_of_two_pods_that_race_for_the_last_slice_one_wins_and_the_other_is_told_full() -> None:
    """S1."""
    with world() as w:
        w.add_pod("a", "7g.80gb")
        w.add_pod("b", "7g.80gb")
        w.run(4, seconds=1.0)
        assert [w.bound_to("a"), w.bound_to("b")] == ["n1", ""]
        assert w.condition("b")["reason"] == "Full"
        assert ("b", "MigWaiting", f"Full: {w.condition('b')['message']}") in w.leader.said


def test_enough_memory_in_the_wrong_places_is_called_fragmented_and_tries_nothing() -> None:
    """S2."""
    with world() as w:
        # The only legal starts of 4g are 0, of 3g 0 and 4: two foreign slices of one memory slice each block them all.
        shape = w.machines["n1"]
        uid = w.add_pod("seed", "1g.10gb")
        w.run()
        (_, gpu, placed, _) = w.claims(uid)[0]
        shape.foreign[gpu] = tuple(
            type(placed)(type(placed.window)(start, 1), placed.profile)
            for start in (0, 4)
            if start != placed.window.start
        )
        shape.report()
        w.delete_pod("seed")
        w.run()
        made = shape.made
        w.add_pod("a", "3g.40gb")
        w.run(4, seconds=1.0)
        assert w.condition("a")["reason"] == "Fragmented"
        assert shape.made == made


def test_a_waiting_pod_is_told_why_within_two_seconds_and_a_quick_one_is_spared_the_news() -> None:
    with world() as w:
        w.add_pod("a", "5g.99gb")
        w.run(1)
        assert w.condition("a")["reason"] == ""
        w.leader.now += 1.0
        w.run(1)
        assert w.condition("a")["reason"] == "NoSuchProfile"
        assert "1g.10gb" in w.condition("a")["message"]


def test_a_message_that_changes_often_is_not_written_often() -> None:
    with world() as w:
        w.add_pod("small", "1g.10gb")
        w.run(2)
        w.add_pod("big", "7g.80gb")
        w.run(3, seconds=1.0)
        told = w.condition("big")["message"]
        before = len(w.leader.api.calls)
        for number in range(6):
            w.add_pod(f"s{number}", "1g.10gb")
            w.run(2, seconds=1.0)
        w.leader.observe()
        assert w.leader.decide().outcomes[w.pod("big")["metadata"]["uid"]].message != told
        assert [call for call in w.leader.api.calls[before:] if "/big/" in call] == []
        w.run(5, seconds=1.0)
        assert w.condition("big")["message"] != told


def test_the_pod_of_higher_priority_comes_first_then_the_older_one() -> None:
    with world() as w:
        w.add_pod("old", "7g.80gb")
        w.add_pod("dear", "7g.80gb", priority=10)
        w.run(2)
        assert [w.bound_to("old"), w.bound_to("dear")] == ["", "n1"]


def test_a_pod_that_cannot_be_placed_does_not_hold_up_those_behind_it() -> None:
    with world() as w:
        w.add_pod("huge", "7g.80gb", "7g.80gb", priority=10)
        w.add_pod("small", "1g.10gb")
        w.run()
        assert w.bound_to("small") == "n1"


def test_a_pod_with_somebody_elses_gate_reserves_nothing_until_it_is_gone() -> None:
    """W21."""
    with world() as w:
        uid = w.add_pod("a", "1g.10gb", gates=("kueue.x-k8s.io/admission", "nos.nebuly.com/mig"))
        w.run(3, seconds=1.0)
        assert w.claims(uid) == []
        assert w.condition("a")["reason"] == "OtherGates"
        w.patch(PODS, "a", spec={"schedulingGates": [{"name": "nos.nebuly.com/mig"}]})
        w.run()
        assert w.bound_to("a") == "n1"


def test_a_reservation_goes_back_when_somebody_else_gates_the_pod() -> None:
    with world() as w:
        uid = w.add_pod("a", "1g.10gb")
        w.round()
        assert len(w.claims(uid)) == 1
        w.patch(PODS, "a", spec={"schedulingGates": [{"name": "nos.nebuly.com/mig"}, {"name": "other"}]})
        w.round()
        assert w.claims(uid) == []


@pytest.mark.parametrize("why", ["cordoned", "not ready", "cpu"])
def test_nothing_new_goes_to_a_node_that_cannot_take_the_pod(why: str) -> None:
    """S4."""
    with world(nodes=2) as w:
        if why == "cordoned":
            w.patch(NODES, "n1", spec={"unschedulable": True})
        elif why == "not ready":
            w.patch(NODES, "n1", status={"conditions": [{"type": "Ready", "status": "False"}]})
        else:
            w.store.create(
                PODS,
                "default",
                {
                    "metadata": {"name": "hog"},
                    "spec": {"nodeName": "n1", "containers": [{"name": "c", "resources": {"requests": {"cpu": "64"}}}]},
                    "status": {"phase": "Running"},
                },
            )
        for number in range(3):
            w.add_pod(f"p{number}", "1g.10gb")
        w.run()
        assert {w.bound_to(f"p{number}") for number in range(3)} == {"n2"}
