"""What keeps writes from undoing each other: order across nodes, generations, resourceVersions (L7, L8, A7)."""

from kube.errors import Conflict
from tests.allocator.machines import schedule
from tests.allocator.storeapi import MIGSPECS, NODES, PODS
from tests.allocator.world import world


def test_a_pod_moves_only_after_its_old_claim_is_gone_even_if_that_write_is_refused() -> None:
    """A7: the two nodes' writes of one round may arrive in any order, or not at all."""
    with world(nodes=2) as w:
        uid = w.add_pod("a", "1g.10gb")
        w.round()
        (home,) = {node for node, *_ in w.claims(uid)}
        w.patch(NODES, home, spec={"unschedulable": True})

        def refuse(moment: str) -> None:
            if moment == f"before PATCH {MIGSPECS}/{home}":
                raise Conflict(moment, status=409, reason="Conflict")

        w.leader.api.fault = refuse
        for _ in range(3):
            w.round()
            assert [node for node, *_ in w.claims(uid)] == [home]
        w.leader.api.fault = lambda _: None
        w.round()
        assert w.claims(uid) == []
        w.round()
        assert [node for node, *_ in w.claims(uid)] != [home]


def test_a_decision_on_an_old_spec_is_refused_and_decided_again_on_the_new_one() -> None:
    with world() as w:
        uid = w.add_pod("a", "7g.80gb")
        w.leader.observe()
        decisions = w.leader.decide()
        obj = w.store.get(MIGSPECS, "", "n1")
        obj["spec"]["gpus"][0]["slices"] = [{"start": 0, "size": 1, "profile": "1g.10gb"}]
        w.store.update(MIGSPECS, "", "n1", obj)
        assert w.leader.carry_out(decisions).failed == 1
        assert w.claims(uid) == []
        assert [str(placed.profile) for placed in w.slices("n1")] == ["1g.10gb"]
        # Without waiting for the watch: the conflict made it read the object again.
        assert w.leader.index.view(1).specs["n1"].migspec == w.migspec("n1")
        w.run()
        assert w.bound_to("a") == "n1"


def test_the_agents_status_writes_do_not_get_in_the_way_of_the_spec() -> None:
    with world() as w:
        uid = w.add_pod("a", "1g.10gb")
        w.leader.observe()
        decisions = w.leader.decide()
        obj = w.store.get(MIGSPECS, "", "n1")
        obj["status"]["driverVersion"] = "newer"
        w.store.update(MIGSPECS, "", "n1", obj, subresource="status")
        assert w.leader.carry_out(decisions).failed == 0
        assert len(w.claims(uid)) == 1


def test_a_pod_that_changed_after_the_decision_is_not_let_go_on_it() -> None:
    """L7: a leader that was stopped for a minute wakes up in the middle of its writes."""
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.round()
        w.agents()
        w.leader.observe()
        decisions = w.leader.decide()
        assert [write.ungate for write in decisions.pods] == [True]
        obj = w.pod("a")
        obj["metadata"]["labels"]["touched"] = "by the new leader"
        w.store.update(PODS, "default", "a", obj)
        assert w.leader.carry_out(decisions).failed == 1
        assert w.gated("a")
        assert w.nominated("a") == ""


def test_a_pod_that_changed_between_its_two_writes_is_let_go_a_round_later() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.round()
        w.agents()

        def touch(moment: str) -> None:
            if moment == f"after PATCH {PODS}/a/status":
                obj = w.pod("a")
                obj["metadata"]["labels"]["touched"] = "meanwhile"
                w.store.update(PODS, "default", "a", obj)

        w.leader.api.fault = touch
        w.round()
        assert w.gated("a")
        w.leader.api.fault = lambda _: None
        before = len(w.leader.api.calls)
        w.round()
        assert not w.gated("a")
        assert len(w.leader.api.calls) == before + 1, "the status is right already"


def test_a_former_leaders_spec_is_refused_after_the_fence() -> None:
    """L7, L8."""
    with world() as w:
        uid = w.add_pod("a", "1g.10gb")
        former = w.leader
        former.observe()
        decisions = former.decide()
        w.new_leader()
        assert former.carry_out(decisions).failed == 1
        assert w.claims(uid) == []
        assert former.decide().deposed_by == 2


def test_a_slice_taken_by_another_pod_leaves_its_owner_the_equal_one_in_the_same_write() -> None:
    """S7: nobody starts afresh for a swap."""
    with world() as w:
        for name in ("x", "y"):
            w.add_pod(name, "1g.10gb")
        w.run()
        for name in ("x", "y"):
            w.delete_pod(name)
        w.run()
        quick = w.add_pod("quick", "1g.10gb")
        slow = w.add_pod("slow", "1g.10gb")
        obj = w.pod("slow")
        obj["metadata"]["annotations"]["test/refused-by"] = "n1"
        w.store.update(PODS, "default", "slow", obj)
        w.round()
        spots = {claim.uid: (gpu, placed) for _, gpu, placed, claim in w.claims()}
        w.machines["n1"].report()
        w.round()
        schedule(w.store, w.random)
        machine = w.machines["n1"]
        machine.devices = {spots[slow]: ("default", "quick", quick, "c0")}
        machine.report()
        before = len(w.leader.api.calls)
        w.round()
        now = {claim.uid: (gpu, placed) for _, gpu, placed, claim in w.claims()}
        assert now == {quick: spots[slow], slow: spots[quick]}
        assert len([call for call in w.leader.api.calls[before:] if "migspecs" in call]) == 1
