"""Nodes come and go; what is ours comes and goes with them, what is not stays (S4, S10)."""

from mig.occupancy import Placed
from mig.placements import Window
from mig.profiles import parse_profile
from tests.allocator import objects
from tests.allocator.storeapi import MIGSPECS, NODES
from tests.allocator.world import World, world

ONE = Placed(Window(0, 1), parse_profile("1g.10gb"))
LABEL = "nos.nebuly.com/gpu-partitioning"
AGENT = "nos.nebuly.com/mig-agent"


def labels(w: World, node: str) -> dict[str, str]:
    found: dict[str, str] = w.store.get(NODES, "", node)["metadata"]["labels"]
    return found


def unlabel(w: World, node: str) -> None:
    obj = w.store.get(NODES, "", node)
    del obj["metadata"]["labels"][LABEL]
    w.store.update(NODES, "", node, obj)


def exists(w: World, node: str) -> bool:
    return ("", node) in w.store.collection(MIGSPECS)


def test_handing_a_node_over_makes_its_migspec_owned_by_it_and_keeps_an_agent_there() -> None:
    with world() as w:
        obj = w.store.get(MIGSPECS, "", "n1")
        assert obj["metadata"]["ownerReferences"][0]["uid"] == w.store.get(NODES, "", "n1")["metadata"]["uid"]
        assert labels(w, "n1")[AGENT] == "true"


def test_a_node_without_the_label_is_left_alone() -> None:
    with world() as w:
        w.store.create(NODES, "", objects.node("plain", labels={}))
        w.run(2)
        assert not exists(w, "plain")
        assert AGENT not in labels(w, "plain")


def test_slices_of_ours_that_lie_there_already_are_taken_on_not_taken_away() -> None:
    with world() as w:
        machine = w.add_node("n2", "GPU-2-0")
        machine.instances["GPU-2-0"][ONE] = "MIG-before"
        w.run(4)
        assert w.slices("n2") == [ONE]
        assert machine.destroyed == 0


def test_a_slice_that_the_kubelet_does_not_offer_yet_is_taken_on_as_well() -> None:
    with world() as w:
        machine = w.add_node("n2", "GPU-2-0", hides_slices=True)
        machine.instances["GPU-2-0"][ONE] = "MIG-before"
        w.run(4)
        assert w.slices("n2") == [ONE]
        assert machine.destroyed == 0


def test_a_foreign_slice_keeps_its_room_and_never_enters_the_spec() -> None:
    with world() as w:
        machine = w.machines["n1"]
        machine.foreign["GPU-1-0"] = (ONE,)
        machine.report()
        w.add_pod("a", "7g.80gb")
        w.add_pod("b", "3g.40gb")
        w.run(3, seconds=1.0)
        assert not w.bound_to("a")
        assert w.bound_to("b") == "n1"
        assert ONE not in w.slices("n1")


def test_handing_a_node_back_keeps_running_pods_then_removes_everything_of_ours() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.add_pod("b", "2g.20gb")
        w.run()
        w.delete_pod("b")
        w.run()
        unlabel(w, "n1")
        w.run(4)
        assert [str(placed.profile) for placed in w.slices("n1")] == ["1g.10gb"], (
            "the warm one is gone, the used one not"
        )
        assert labels(w, "n1")[AGENT] == "true"
        w.delete_pod("a")
        w.run(5)
        assert not exists(w, "n1")
        assert AGENT not in labels(w, "n1")
        assert w.machines["n1"].instances == {"GPU-1-0": {}}


def test_a_pod_waiting_on_a_node_that_is_handed_back_goes_elsewhere() -> None:
    with world(nodes=2) as w:
        uid = w.add_pod("a", "1g.10gb")
        w.round()
        (home,) = {node for node, *_ in w.claims(uid)}
        unlabel(w, home)
        w.run()
        assert w.bound_to("a") not in ("", home)


def test_a_node_handed_back_whose_agent_never_answers_keeps_its_migspec() -> None:
    """What has not been reported is not nothing."""
    with world() as w:
        w.machines.pop("n1").hides_slices = True
        w.add_pod("a", "1g.10gb")
        w.round()
        unlabel(w, "n1")
        w.run(4)
        assert exists(w, "n1")


def test_a_migspec_deleted_by_hand_comes_back_with_all_claims_and_nothing_is_destroyed() -> None:
    """S10."""
    with world(gpus=2) as w:
        a = w.add_pod("a", "1g.10gb", "3g.40gb")
        b = w.add_pod("b", "2g.20gb")
        w.run()
        w.add_pod("ready", "1g.10gb")
        w.run(2, scheduler=False)
        before = sorted(w.claims(), key=repr)
        w.store.delete(MIGSPECS, "", "n1")
        w.run(6)
        assert w.machines["n1"].destroyed == 0
        assert len(w.claims(a)) == 2
        assert len(w.claims(b)) == 1
        assert {claim.uid for *_, claim in before} == {claim.uid for *_, claim in w.claims()}
        assert w.bound_to("ready") == "n1"


def test_a_node_made_again_under_its_name_gets_a_migspec_of_its_own() -> None:
    """S10, S4."""
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.run()
        old = w.store.get(MIGSPECS, "", "n1")["metadata"]["uid"]
        w.store.delete(NODES, "", "n1")
        w.store.create(NODES, "", objects.node("n1"))
        w.run(6)
        obj = w.store.get(MIGSPECS, "", "n1")
        assert obj["metadata"]["uid"] != old
        assert obj["metadata"]["ownerReferences"][0]["uid"] == w.store.get(NODES, "", "n1")["metadata"]["uid"]
        assert len(w.claims()) == 1, "its Pod still runs, and its claim is rebuilt"
        assert w.machines["n1"].destroyed == 0


def test_a_node_that_is_gone_takes_its_migspec_along() -> None:
    """S4."""
    with world(nodes=2) as w:
        w.store.delete(NODES, "", "n2")
        del w.machines["n2"]
        w.run(3)
        assert not exists(w, "n2")


def test_a_migspec_that_cannot_be_read_stops_its_node_alone() -> None:
    """A12."""
    with world(nodes=2) as w:
        obj = w.store.get(MIGSPECS, "", "n1")
        obj["spec"]["gpus"] = [{"uuid": "GPU-1-0", "slices": [{"start": 0, "size": 1, "profile": "nonsense"}]}]
        w.store.update(MIGSPECS, "", "n1", obj)
        del w.machines["n1"]
        w.add_pod("a", "1g.10gb")
        w.run()
        assert w.bound_to("a") == "n2"


def test_gpus_without_mig_are_left_alone() -> None:
    with world() as w:
        obj = w.store.get(MIGSPECS, "", "n1")
        assert [gpu["uuid"] for gpu in obj["spec"]["gpus"]] == ["GPU-1-0"]
