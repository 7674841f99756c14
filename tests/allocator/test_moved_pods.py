"""Pods that nobody binds where their slices are (S8), and slices that cannot be made."""

from tests.allocator.machines import schedule
from tests.allocator.storeapi import MIGSPECS, NODES, PODS
from tests.allocator.world import world


def test_a_pod_that_the_scheduler_refuses_gets_a_slice_and_a_nomination_elsewhere_within_ten_seconds() -> None:
    """S8."""
    with world(nodes=2) as w:
        uid = w.add_pod("a", "1g.10gb")
        w.round()
        (home,) = {node for node, *_ in w.claims(uid)}
        obj = w.pod("a")
        obj["metadata"]["annotations"]["test/refused-by"] = home
        w.store.update(PODS, "default", "a", obj)
        w.run(32, seconds=0.25)
        assert w.bound_to("a") not in ("", home)
        assert [node for node, *_ in w.claims()] == [w.bound_to("a")]


def test_a_refused_pod_keeps_its_slice_and_is_told_what_it_waits_for_while_nothing_else_fits() -> None:
    """S8."""
    with world() as w:
        uid = w.add_pod("a", "1g.10gb")
        w.round()
        obj = w.pod("a")
        obj["metadata"]["annotations"]["test/refused-by"] = "n1"
        w.store.update(PODS, "default", "a", obj)
        w.run(10, seconds=1.0)
        assert len(w.claims(uid)) == 1
        assert w.condition("a")["reason"] == "NoNodeFits"
        assert "0 nodes are available" in w.condition("a")["message"]


def test_a_scheduler_that_is_only_slow_moves_nobody() -> None:
    with world(nodes=2) as w:
        uid = w.add_pod("a", "1g.10gb")
        w.run(3, scheduler=False)
        before = w.claims(uid)
        w.run(10, scheduler=False, seconds=1.0)
        assert w.claims(uid) == before


def test_a_nomination_that_was_cleared_is_made_again() -> None:
    """S8: preemption clears it."""
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.run(3, scheduler=False)
        obj = w.pod("a")
        del obj["status"]["nominatedNodeName"]
        w.store.update(PODS, "default", "a", obj, subresource="status")
        w.run(5, scheduler=False, seconds=1.0)
        assert w.nominated("a") == "n1"


def test_a_node_cordoned_before_its_pod_is_let_go_sends_it_elsewhere() -> None:
    with world(nodes=2) as w:
        uid = w.add_pod("a", "1g.10gb")
        w.round()
        (home,) = {node for node, *_ in w.claims(uid)}
        w.patch(NODES, home, spec={"unschedulable": True})
        w.run()
        assert w.bound_to("a") not in ("", home)
        assert len(w.claims()) == 1


def test_a_pod_on_a_cordoned_node_stays_gated_and_is_told_while_there_is_no_other() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.round()
        w.patch(NODES, "n1", spec={"unschedulable": True})
        w.run(4, seconds=1.0)
        assert w.gated("a")
        assert w.condition("a")["reason"] == "NoNodeFits"
        assert "cordoned" in w.condition("a")["message"]
        w.patch(NODES, "n1", spec={"unschedulable": False})
        w.run()
        assert w.bound_to("a") == "n1"


def test_a_slice_that_cannot_be_made_is_given_up_and_its_place_avoided() -> None:
    with world(gpus=2) as w:
        uid = w.add_pod("a", "7g.80gb")
        w.round()
        ((_, gpu, placed, _),) = w.claims(uid)
        w.machines["n1"].broken.add((gpu, placed.window.start))
        w.run(8)
        assert w.bound_to("a") == "n1"
        ((_, now, _, _),) = w.claims(uid)
        assert now != gpu
        assert w.slices("n1") == [placed]


def test_a_slice_on_a_gpu_in_trouble_loses_its_waiting_pod_and_stays_in_the_spec() -> None:
    with world(gpus=2) as w:
        uid = w.add_pod("a", "7g.80gb")
        w.round()
        machine = w.machines["n1"]
        while machine.work():
            pass
        machine.report()
        ((_, gpu, placed, _),) = w.claims(uid)
        obj = w.store.get(MIGSPECS, "", "n1")
        for item in next(item for item in obj["status"]["gpus"] if item["uuid"] == gpu)["slices"]:
            item |= {"state": "Failed", "message": "GPU is lost"}
        w.store.update(MIGSPECS, "", "n1", obj, subresource="status")
        w.round()
        w.round()
        ((_, other, _, _),) = w.claims(uid)
        assert other != gpu
        assert w.slices("n1") == [placed, placed]


def test_a_place_that_failed_is_tried_again_after_a_while() -> None:
    with world() as w:
        uid = w.add_pod("a", "7g.80gb")
        w.round()
        ((_, gpu, placed, _),) = w.claims(uid)
        machine = w.machines["n1"]
        machine.broken.add((gpu, placed.window.start))
        w.run(4, seconds=1.0)
        assert "failed" in w.condition("a")["message"]
        machine.broken.clear()
        w.run(2, seconds=1.0)
        assert w.claims(uid) == []
        w.run(6, seconds=8.0)
        assert w.bound_to("a") == "n1"


def test_a_slice_that_somebody_took_between_decision_and_hardware_is_replaced() -> None:
    with world(gpus=2) as w:
        w.add_pod("old", "1g.10gb")
        w.run()
        machine = w.machines["n1"]
        ((_, gpu, placed, _),) = w.claims()
        w.delete_pod("old")
        w.run()
        # A warm slice is dropped for a 7g; before the agent acts, a Pod that came round the gate takes it.
        w.patch(NODES, "n1", spec={})
        uid = w.add_pod("big", "7g.80gb")
        other = w.add_pod("big2", "7g.80gb")
        w.round()
        intruder = w.add_pod("intruder", "1g.10gb", gates=(), node="n1")
        machine.devices[gpu, placed] = ("default", "intruder", intruder, "c0")
        w.run(6)
        assert sorted(bool(w.bound_to(name)) for name in ("big", "big2")) == [False, True]
        assert len(w.claims(uid)) + len(w.claims(other)) == 1
        assert [(where, what) for _, where, what, _ in w.claims(intruder)] == [(gpu, placed)]


def test_the_scheduler_of_the_model_says_when_it_finds_nothing() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb", gates=())
        schedule(w.store, w.random)
        assert w.pod("a")["status"]["conditions"][0]["reason"] == "Unschedulable"
