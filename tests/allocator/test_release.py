"""Slices come back when their Pods are gone, and not before they are silent."""

from tests.allocator.storeapi import PODS
from tests.allocator.world import world


def test_a_pod_deleted_between_reservation_and_creation_leaves_no_claim() -> None:
    """S3."""
    with world() as w:
        w.add_pod("a", "2g.20gb")
        w.round()
        w.delete_pod("a")
        w.run()
        assert w.claims() == []
        w.add_pod("b", "7g.80gb")
        w.run()
        assert w.bound_to("b") == "n1", "what was made for the first is removed for the second"


def test_a_finished_pod_gives_its_slice_back() -> None:
    with world() as w:
        w.add_pod("a", "2g.20gb")
        w.run()
        w.patch(PODS, "a", status={"phase": "Succeeded"})
        w.run(2)
        assert w.claims() == []


def test_a_pod_made_again_under_its_name_is_another_pod() -> None:
    """A9."""
    with world() as w:
        old = w.add_pod("a", "2g.20gb")
        w.run()
        w.delete_pod("a")
        new = w.add_pod("a", "7g.80gb")
        w.run()
        assert w.claims(old) == []
        assert [str(placed.profile) for _, _, placed, _ in w.claims(new)] == ["7g.80gb"]
        assert w.bound_to("a") == "n1"


def test_a_slice_whose_containers_still_die_is_neither_reused_nor_removed() -> None:
    """S9: the Pod object is gone, the agent still reports the slice as used."""
    with world() as w:
        w.add_pod("a", "7g.80gb")
        w.run()
        machine = w.machines["n1"]
        w.delete_pod("a")
        held = dict(machine.devices)
        w.add_pod("b", "7g.80gb")
        w.add_pod("c", "1g.10gb")
        for _ in range(3):
            w.round()
            machine.work()
            machine.report()  # devices not collected: the containers still die
        assert machine.devices == held
        assert w.claims() == []
        assert [str(placed.profile) for placed in w.slices("n1")] == ["7g.80gb"]
        w.run()
        assert w.bound_to("b") == "n1"


def test_a_slice_is_reused_only_on_a_report_that_is_newer_than_the_end_of_its_claim() -> None:
    """S11: between release and report the slice may be taken by anybody."""
    with world() as w:
        w.add_pod("a", "7g.80gb")
        w.run()
        w.machines["n1"].devices.clear()
        w.machines["n1"].report()  # Free, but judged while the claim still stood
        w.delete_pod("a")
        b = w.add_pod("b", "7g.80gb")
        w.round()
        assert w.claims() == []
        w.round()
        assert w.claims(b) == []
        w.machines["n1"].report()
        w.round()
        assert len(w.claims(b)) == 1


def test_a_pod_being_deleted_before_it_was_bound_holds_nothing() -> None:
    with world() as w:
        w.add_pod("a", "7g.80gb")
        w.run(1)
        obj = w.store.get(PODS, "default", "a")
        obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        w.store.update(PODS, "default", "a", obj)
        if not w.bound_to("a"):
            w.round()
            assert w.claims() == []
