"""A Pod's whole way, and what its objects say at each step."""

from tests.allocator.world import world


def test_a_pod_is_reserved_then_let_go_when_its_slice_is_there_and_runs() -> None:
    with world() as w:
        uid = w.add_pod("a", "3g.40gb")

        w.round()
        ((node, gpu, placed, claim),) = w.claims(uid)
        assert (node, gpu, str(placed.profile), claim.container) == ("n1", "GPU-1-0", "3g.40gb", "c0")
        assert w.gated("a")

        w.round()
        assert w.gated("a"), "the slice does not exist yet"

        w.agents()
        w.round()
        assert not w.gated("a")
        assert w.nominated("a") == "n1"
        assert w.allocation("a")["c0"].start == placed.window.start
        assert (w.condition("a")["status"], w.condition("a")["reason"]) == ("True", "Allocated")

        w.run(2)
        assert w.bound_to("a") == "n1"
        assert list(w.machines["n1"].devices) == [(gpu, placed)]


def test_nothing_is_written_once_everybody_has_what_he_wants() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb", "2g.20gb")
        w.run()
        w.leader.observe()
        assert w.leader.decide().idle


def test_two_containers_get_two_slices_of_one_node_in_one_write() -> None:
    with world(nodes=2) as w:
        uid = w.add_pod("a", "3g.40gb", "3g.40gb")
        before = len(w.leader.api.calls)
        w.round()
        assert len({node for node, *_ in w.claims(uid)}) == 1
        assert len(w.claims(uid)) == 2
        assert len([call for call in w.leader.api.calls[before:] if "migspecs" in call]) == 1


def test_a_warm_slice_is_reused_without_touching_the_hardware() -> None:
    with world() as w:
        w.add_pod("a", "2g.20gb")
        w.run()
        w.delete_pod("a")
        w.run()
        assert w.claims() == []
        made = w.machines["n1"].made

        w.add_pod("b", "2g.20gb")
        w.run()
        assert w.bound_to("b") == "n1"
        assert w.machines["n1"].made == made


def test_a_warm_slice_makes_room_for_another_profile() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.run()
        w.delete_pod("a")
        w.run()
        w.add_pod("b", "7g.80gb")
        w.run()
        assert w.bound_to("b") == "n1"
        assert [str(placed.profile) for placed in w.slices("n1")] == ["7g.80gb"]


def test_a_ready_pod_runs_while_anothers_slice_is_still_being_made() -> None:
    with world() as w:
        w.add_pod("old", "1g.10gb")
        w.run()
        w.delete_pod("old")
        w.run()
        w.add_pod("first", "1g.10gb")
        w.add_pod("second", "1g.10gb")
        w.round()
        w.machines["n1"].report()  # judged, nothing made: one warm slice, one still to come
        w.round()
        assert (w.gated("first"), w.gated("second")) == (False, True)


def test_a_pod_that_asks_for_nothing_is_let_go_at_once() -> None:
    with world() as w:
        w.add_pod("a")
        w.round()
        assert not w.gated("a")


def test_the_least_number_of_writes_is_made_for_a_pod() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb")
        before = len(w.leader.api.calls)
        w.run(6)
        assert [call.split("/")[-2:] for call in w.leader.api.calls[before:]] == [
            ["migspecs", "n1"],
            ["a", "status"],
            ["pods", "a"],
        ]
