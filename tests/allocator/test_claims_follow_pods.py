"""Claims follow the slices that Pods really hold; equal slices are interchangeable (S7)."""

from tests.allocator.machines import schedule
from tests.allocator.storeapi import NODES
from tests.allocator.world import World, world


def agree(w: World) -> None:
    """Every held slice is claimed by its holder, and nobody else's claim is on it."""
    for name, machine in w.machines.items():
        claims = {
            (gpu, placed): (claim.uid, claim.container) for node, gpu, placed, claim in w.claims() if node == name
        }
        for slot, (_, _, uid, container) in machine.devices.items():
            assert claims.get(slot) == (uid, container)


def test_two_pods_whose_slices_the_kubelet_swapped_swap_their_claims_in_one_write() -> None:
    """S7."""
    with world() as w:
        a = w.add_pod("a", "1g.10gb")
        b = w.add_pod("b", "1g.10gb")
        w.round()
        w.agents()
        w.round()
        spots = {claim.uid: (gpu, placed) for _, gpu, placed, claim in w.claims()}
        schedule(w.store, w.random)
        machine = w.machines["n1"]
        machine.devices = {spots[b]: ("default", "a", a, "c0"), spots[a]: ("default", "b", b, "c0")}
        machine.report()
        before = len(w.leader.api.calls)
        w.round()
        assert len([call for call in w.leader.api.calls[before:] if "migspecs" in call]) == 1
        agree(w)
        w.run()
        assert w.allocation("a")["c0"].start == spots[b][1].window.start


def test_a_pod_bound_elsewhere_takes_an_equal_slice_there_and_its_owner_gets_another() -> None:
    """S7: the node was cordoned between reservation and binding."""
    with world(nodes=2) as w:
        a = w.add_pod("a", "2g.20gb")
        w.round()
        (home,) = {node for node, *_ in w.claims(a)}
        (other,) = {"n1", "n2"} - {home}
        w.patch(NODES, home, spec={"unschedulable": True})
        b = w.add_pod("b", "2g.20gb")
        w.patch(NODES, home, spec={"unschedulable": False})
        w.leader.observe()
        # b gets a slice on the other node; both are let go.
        w.patch(NODES, home, spec={"unschedulable": True})
        w.round()
        w.patch(NODES, home, spec={"unschedulable": False})
        w.run(2, scheduler=False)
        assert {node for node, *_ in w.claims(b)} | {node for node, *_ in w.claims(a)} <= {home, other}
        w.run(8, stubborn=True)
        assert w.bound_to("a")
        assert w.bound_to("b")
        agree(w)
        assert len(w.claims()) == 2


def test_a_scheduler_that_ignores_every_nomination_costs_nobody_a_slice() -> None:
    """S7."""
    with world(nodes=3, gpus=2, seed=3) as w:
        for number in range(12):
            w.add_pod(f"p{number}", ("1g.10gb", "2g.20gb", "3g.40gb")[number % 3])
        w.run(20, stubborn=True, seconds=1.0)
        assert all(w.bound_to(f"p{number}") for number in range(12))
        agree(w)
        assert len(w.claims()) == 12


def test_a_pod_that_came_round_the_gate_gets_the_claim_on_what_it_holds() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.run()
        w.delete_pod("a")
        w.run()
        intruder = w.add_pod("intruder", "1g.10gb", gates=(), node="n1")
        w.run()
        assert len(w.claims(intruder)) == 1
        agree(w)


def test_claims_of_one_container_on_two_nodes_are_reduced_to_where_the_pod_is() -> None:
    with world(nodes=2) as w:
        a = w.add_pod("a", "1g.10gb")
        w.run()
        (other,) = {"n1", "n2"} - {w.bound_to("a")}
        # Two allocators that led at once could leave this behind.
        obj = w.store.get("apis/nos.nebuly.com/v1alpha1/migspecs", "", other)
        claim = {"namespace": "default", "pod": "a", "uid": a, "container": "c0"}
        obj["spec"]["gpus"][0]["slices"].append({"start": 0, "size": 1, "profile": "1g.10gb", "claim": claim})
        w.store.update("apis/nos.nebuly.com/v1alpha1/migspecs", "", other, obj)
        assert len(w.claims(a)) == 2
        w.run(2)
        assert [node for node, *_ in w.claims(a)] == [w.bound_to("a")]
        agree(w)
