"""Nothing is done on a report that is older than what it should prove (S11)."""

from tests.allocator.storeapi import NODES
from tests.allocator.world import world


def test_nobody_is_let_go_on_a_report_older_than_his_claim() -> None:
    """S11: the slice is free in the old report, but that report does not know of the claim."""
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.run()
        w.delete_pod("a")
        w.run()
        w.add_pod("b", "1g.10gb")
        w.round()
        assert len(w.claims()) == 1
        for _ in range(3):
            w.round()
        assert w.gated("b")
        w.machines["n1"].report()
        w.round()
        assert not w.gated("b")


def test_a_new_leader_trusts_no_report_from_before_its_fence() -> None:
    """S11, L7: the fence is a new generation, which the agent must have seen."""
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.round()
        w.agents()
        w.new_leader()
        w.round()
        assert w.gated("a")
        w.agents()
        w.round()
        assert not w.gated("a")


def test_nobody_is_let_go_before_the_node_shows_a_device_for_him() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.round()
        w.agents()
        shown = w.store.get(NODES, "", "n1")["status"]["allocatable"]
        w.patch(NODES, "n1", status={"allocatable": {**shown, "nvidia.com/mig-1g.10gb": "0"}})
        w.round()
        assert w.gated("a")
        w.patch(NODES, "n1", status={"allocatable": shown})
        w.round()
        assert not w.gated("a")


def test_a_pod_that_came_round_the_gate_counts_against_the_nodes_devices() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.round()
        w.agents()
        w.add_pod("intruder", "1g.10gb", gates=(), node="n1")
        w.round()
        assert w.gated("a"), "one device, and the intruder takes it"
        w.kubelets()
        w.run()
        assert w.bound_to("a") == "n1", "it was given another"


def test_a_node_whose_agent_has_not_reported_gets_nothing() -> None:
    with world() as w:
        w.add_node("n2", "GPU-2-0", "GPU-2-1")
        for name in ("a", "b"):
            w.add_pod(name, "7g.80gb")
        w.round()
        assert {node for node, *_ in w.claims()} == {"n1"}
        w.round()
        assert {node for node, *_ in w.claims()} == {"n1"}
        w.run()
        assert {w.bound_to("a"), w.bound_to("b")} == {"n1", "n2"}


def test_an_agent_that_goes_silent_costs_the_node_its_reservations_not_its_pods() -> None:
    with world(nodes=2) as w:
        w.add_pod("runs", "1g.10gb")
        w.run()
        silent = w.bound_to("runs")
        w.patch(NODES, "n1" if silent == "n2" else "n2", spec={"unschedulable": True})
        uid = w.add_pod("a", "1g.10gb")
        w.round()
        assert [node for node, *_ in w.claims(uid)] == [silent]
        w.patch(NODES, "n1" if silent == "n2" else "n2", spec={"unschedulable": False})
        quiet = w.machines.pop(silent)
        w.run(8, seconds=4.0)
        assert w.bound_to("a") not in ("", silent)
        assert quiet.devices
        assert w.bound_to("runs") == silent
