"""From its reservation until it is gone, a Pod that declares its lifetime has an end, and it never jitters."""

from allocator.view import Tracked
from tests.allocator.storeapi import PODS
from tests.allocator.world import World, world


def tracked(w: World) -> Tracked:
    """The node as the leader sees it."""
    w.leader.observe()
    return w.leader.index.view(1).specs["n1"]


def ends(w: World) -> list[float]:
    """When its slices are expected to end."""
    return [end for gpu in tracked(w).gpu_views for end, _ in gpu.ends]


def test_an_end_is_there_from_the_reservation_on_follows_the_start_and_goes_with_the_pod() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb", activeDeadlineSeconds=3600)
        w.add_pod("b", "1g.10gb")
        w.round()
        (reserved,) = ends(w)
        w.run(4)
        assert w.bound_to("a") == "n1"
        assert ends(w) == [reserved], "neither rounds nor reports nor binding move it"

        w.patch(PODS, "a", status={"startTime": "2026-01-01T00:00:00Z", "phase": "Running"})
        w.run(1)
        assert ends(w) == [1767225600.0 + 3600]

        w.delete_pod("a")
        w.run(4)
        assert ends(w) == []
        assert len(w.claims()) == 1


def test_a_new_leader_knows_the_ends_of_pods_that_run_and_counts_the_others_from_its_first_sight() -> None:
    """L11."""
    with world() as w:
        w.add_pod("a", "1g.10gb", activeDeadlineSeconds=3600)
        w.run(4)
        w.patch(PODS, "a", status={"startTime": "2026-01-01T00:00:00Z", "phase": "Running"})
        w.add_pod("b", "1g.10gb", activeDeadlineSeconds=7200)
        w.round()
        known = ends(w)
        assert known[0] == 1767225600.0 + 3600
        w.new_leader()
        again = ends(w)
        assert again[0] == known[0]
        assert again[1] >= known[1]


def test_a_declared_lifetime_that_cannot_be_read_keeps_no_pod_from_its_slice() -> None:
    """A12."""
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.patch(PODS, "a", metadata={"annotations": {"nos.nebuly.com/expected-duration": "until friday"}})
        w.run()
        assert w.bound_to("a") == "n1"
        assert ends(w) == []
