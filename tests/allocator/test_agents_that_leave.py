"""Nodes whose agent ends in order: nobody is let go there, what is reserved waits a while, and then goes elsewhere."""

from allocator.fleetview import COMES_BACK_S
from tests.allocator.storeapi import NODES
from tests.allocator.world import World, world


def begin_to_leave(w: World, node: str) -> None:
    """The agent's report says that it leaves; its slices are still there, and still Free."""
    w.machines[node].leaving = True
    w.agents()


def test_a_pod_whose_slice_is_free_is_not_let_go_while_the_agent_leaves() -> None:
    with world() as w:
        uid = w.add_pod("a", "1g.10gb")
        w.round()
        w.agents()
        begin_to_leave(w, "n1")
        w.run(5, seconds=1.0)
        assert w.gated("a")
        assert len(w.claims(uid)) == 1
        assert w.condition("a")["reason"] == "Creating"
        assert "waits for the node's new agent" in w.condition("a")["message"]
        w.machines["n1"].leaving = False
        w.run()
        assert w.bound_to("a") == "n1"


def test_nothing_new_goes_to_a_node_whose_agent_leaves() -> None:
    with world(nodes=2) as w:
        begin_to_leave(w, "n1")
        w.add_pod("a", "1g.10gb")
        w.add_pod("b", "7g.80gb")
        w.run()
        assert sorted((w.bound_to("a"), w.bound_to("b"))) == ["", "n2"]
        waiting = "a" if not w.bound_to("a") else "b"
        w.run(3, seconds=1.0)
        assert "agent is ending" in w.condition(waiting)["message"]
        w.machines["n1"].leaving = False
        w.run()
        assert sorted((w.bound_to("a"), w.bound_to("b"))) == ["n1", "n2"]


def test_a_pod_that_was_let_go_before_is_still_bound_there() -> None:
    with world(nodes=2) as w:
        uid = w.add_pod("a", "1g.10gb")
        w.run(3, scheduler=False)
        (home,) = {node for node, *_ in w.claims(uid)}
        assert not w.gated("a")
        begin_to_leave(w, home)
        w.run()
        assert w.bound_to("a") == home


def test_a_reservation_waits_for_a_successor_and_then_goes_elsewhere() -> None:
    with world(nodes=2) as w:
        uid = w.add_pod("a", "1g.10gb")
        w.round()
        (home,) = {node for node, *_ in w.claims(uid)}
        begin_to_leave(w, home)
        w.run(5, seconds=COMES_BACK_S / 6)
        assert {node for node, *_ in w.claims(uid)} == {home}
        w.run(5, seconds=COMES_BACK_S / 6)
        assert w.bound_to("a") not in ("", home)


def test_a_pod_let_go_to_slices_that_were_withdrawn_goes_elsewhere_when_no_successor_comes() -> None:
    """Nobody bound it before the agent's patience ended."""
    with world(nodes=2) as w:
        uid = w.add_pod("a", "1g.10gb")
        w.run(3, scheduler=False)
        (home,) = {node for node, *_ in w.claims(uid)}
        assert not w.gated("a")
        w.machines[home].hides_slices = True
        begin_to_leave(w, home)
        w.run(10, seconds=COMES_BACK_S / 6)
        assert w.bound_to("a") not in ("", home)
        assert {node for node, *_ in w.claims(uid)} == {w.bound_to("a")}


def test_a_cordon_still_moves_a_reservation_of_a_node_whose_agent_leaves() -> None:
    with world(nodes=2) as w:
        uid = w.add_pod("a", "1g.10gb")
        w.round()
        (home,) = {node for node, *_ in w.claims(uid)}
        begin_to_leave(w, home)
        w.patch(NODES, home, spec={"unschedulable": True})
        w.run()
        assert w.bound_to("a") not in ("", home)
