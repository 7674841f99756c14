"""Slices that an agent has taken over go into the spec as they are: warm, or claimed by the Pod that uses them."""

import pytest

from mig.occupancy import Placed
from tests.allocator.storeapi import NODES
from tests.allocator.world import World, world
from tests.support.instances import placed

GPU = "GPU-1-0"
TWO = placed("2g.20gb@4+2")


def with_foreign(w: World, item: Placed = TWO) -> None:
    """A foreign slice lies on the GPU, and everybody knows."""
    w.machines["n1"].foreign[GPU] = (item,)
    w.run()
    assert item not in w.slices("n1")


def test_a_free_one_becomes_warm_and_is_reused() -> None:
    """It is not destroyed for not being listed, and the next Pod with its profile starts on it."""
    with world() as w:
        with_foreign(w)
        w.machines["n1"].adopt(GPU, TWO)
        w.run()
        assert w.slices("n1") == [TWO]
        assert w.claims() == []
        uid = w.add_pod("next", "2g.20gb")
        w.run()
        assert [(gpu, item) for _, gpu, item, _ in w.claims(uid)] == [(GPU, TWO)]
        assert (w.machines["n1"].made, w.machines["n1"].destroyed) == (0, 0)


def test_one_that_a_pod_uses_is_claimed_by_that_pod() -> None:
    """The Pod had it from another device plugin; it came before our webhook, and bears no mark of ours."""
    with world() as w:
        with_foreign(w)
        uid = w.add_pod("old", "2g.20gb", gates=(), node="n1")
        w.machines["n1"].adopt(GPU, TWO)
        w.machines["n1"].hand_out(w.random)
        w.run()
        assert [(gpu, item) for _, gpu, item, _ in w.claims(uid)] == [(GPU, TWO)]
        w.delete_pod("old")
        w.run()
        assert (w.slices("n1"), w.claims()) == ([TWO], [])


def test_a_pod_that_waits_for_the_room_of_a_free_one_gets_it() -> None:
    """Warm is not in the way: what was foreign before kept the whole GPU from being handed out."""
    with world() as w:
        with_foreign(w)
        w.add_pod("whole", "7g.80gb")
        w.run(seconds=1.0)
        assert w.gated("whole")
        w.machines["n1"].adopt(GPU, TWO)
        w.run(8)
        assert w.bound_to("whole") == "n1"
        assert w.slices("n1") == [placed("7g.80gb@0+8")]


def test_what_is_wanted_in_its_place_already_goes_before() -> None:
    """A spec that could not be carried out for the foreign slice wins over it; nothing overlaps, ever."""
    with world() as w:
        uid = w.add_pod("first", "3g.40gb")
        w.round()
        ((_, _, there, _),) = w.claims(uid)
        in_the_way = placed(f"1g.10gb@{there.window.start}+1")
        w.machines["n1"].foreign[GPU] = (in_the_way,)
        w.machines["n1"].adopt(GPU, in_the_way)
        w.run()
        assert w.slices("n1") == [there]
        assert w.bound_to("first") == "n1"


@pytest.mark.parametrize("labelled", [True, False])
def test_only_a_node_that_is_handed_over_takes_them_in(*, labelled: bool) -> None:
    """One that is taken back gives up what nobody uses."""
    with world() as w:
        with_foreign(w)
        if not labelled:
            w.patch(NODES, "n1", metadata={"labels": {"nos.nebuly.com/mig-agent": "true"}})
            w.add_pod("stays", "1g.10gb", gates=(), node="n1")
        w.machines["n1"].adopt(GPU, TWO)
        w.machines["n1"].report()
        w.round()
        assert (TWO in w.slices("n1")) is labelled
