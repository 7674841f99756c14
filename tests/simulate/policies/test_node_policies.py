"""Policies that choose a node first take the first fit there, however the GPUs of that node look."""

from simulate.policies.dra import Dra
from simulate.policies.instaslice import InstaSlice
from tests.simulate.policies.laying import A30, A100, fleet, lay, went


def test_instaslice_takes_the_emptiest_node_and_on_it_the_first_gpu() -> None:
    """Node 0 holds a slice on GPU 0: the next goes to node 1; then both are equal, and GPU 0 is taken though GPU 1 is empty."""
    placer = InstaSlice(fleet(4), per_node=2)
    lay(placer, 0, "1g.10gb", 0)

    assert went(placer, "1g.10gb") == (2, 0)
    assert went(placer, "1g.10gb") == (0, 1)


def test_instaslice_measures_free_room_as_a_share_of_the_node() -> None:
    """An empty node of A30s has fewer free slices than a node of A100s with one in use, and a larger share of them."""
    placer = InstaSlice([A100, A100, A30, A30], per_node=2)
    lay(placer, 0, "1g.10gb", 0)

    assert placer._fleet.free_share(0) < placer._fleet.free_share(1)


def test_dra_draws_the_node_and_then_takes_the_first_device() -> None:
    placers = [Dra(fleet(4), per_node=2, seed=seed) for seed in range(40)]
    places = {went(placer, "3g.40gb") for placer in placers}

    assert places == {(0, 0), (2, 0)}


def test_dra_draws_among_nodes_that_fit_only() -> None:
    for seed in range(20):
        placer = Dra(fleet(4), per_node=2, seed=seed)
        lay(placer, 0, "1g.10gb", 3)
        lay(placer, 1, "7g.80gb", 0)

        assert went(placer, "7g.80gb") == (2, 0)


def test_equal_seeds_draw_alike() -> None:
    one, other = Dra(fleet(16), per_node=2, seed=7), Dra(fleet(16), per_node=2, seed=7)

    assert [went(one, "2g.20gb") for _ in range(40)] == [went(other, "2g.20gb") for _ in range(40)]


def test_the_last_node_may_be_smaller() -> None:
    placer = InstaSlice(fleet(3), per_node=2)

    assert [went(placer, "7g.80gb") for _ in range(4)] == [(0, 0), (2, 0), (1, 0), None]
