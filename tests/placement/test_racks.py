"""What lies where is known of every node, also where its GPUs are replaced or come in another order, or are in trouble."""

from dataclasses import replace

from allocator.placement.engine import Engine
from allocator.placement.fleet import NodeView, Wish
from allocator.placement.mix import Mix
from allocator.placement.placement import Placement
from allocator.placement.policy import Tiny
from allocator.placement.racks import Racks
from allocator.placement.tables import Tables
from mig.geometries import ANYTHING
from mig.occupancy import Placed
from mig.placements import Window
from tests.placement.fleets import HALF_NARROW, at, gpu, node, profile, wish


def racks(*nodes: NodeView) -> Racks:
    made = Racks(Tables(Tiny(), Mix()), ANYTHING)
    made.sync(nodes, frozenset())
    return made


def engine(*nodes: NodeView) -> Engine:
    made = Engine()
    made.sync(nodes)
    return made


def keys(fleet: Racks) -> dict[str, tuple[float, str, int]]:
    return {uuid: card.key for rack in fleet for uuid, card in rack.cards.items()}


def places(of: Engine, asked: Wish) -> list[Placement]:
    return [place for place, _ in of.ranked(asked)]


def test_a_gpu_that_was_replaced_leaves_its_index_to_the_new_one() -> None:
    fleet = racks(node("n", gpu("GPU-a"), gpu("GPU-b")))
    fleet.sync([node("n", gpu("GPU-c"), gpu("GPU-b"))], frozenset())
    assert keys(fleet) == {"GPU-c": (-1.0, "n", 0), "GPU-b": (-1.0, "n", 1)}


def test_gpus_that_change_places_stay_apart() -> None:
    """Equal ones too, which stand on one shelf: taking one of them takes that one."""
    fleet = racks(node("n", gpu("GPU-a"), gpu("GPU-b"), gpu("GPU-c")))
    fleet.sync([node("n", gpu("GPU-c"), gpu("GPU-a"), gpu("GPU-b"))], frozenset())
    assert keys(fleet) == {"GPU-c": (-1.0, "n", 0), "GPU-a": (-1.0, "n", 1), "GPU-b": (-1.0, "n", 2)}
    (stock,) = fleet.everywhere()
    assert [(key, card.uuid) for key, card in stock.buckets[0][0]] == [
        ((-1.0, "n", 0), "GPU-c"),
        ((-1.0, "n", 1), "GPU-a"),
        ((-1.0, "n", 2), "GPU-b"),
    ]


def test_a_gpu_in_trouble_gets_nothing_and_is_back_when_it_is_well() -> None:
    ill = replace(gpu("GPU-a"), trouble="XID 79")
    known = engine(node("n", ill))
    assert known.find(wish("1g.10gb")) is None
    known.sync([node("n", gpu("GPU-a"))])
    assert known.find(wish("1g.10gb")) is not None
    known.sync([node("n", ill)])
    assert known.find(wish("1g.10gb")) is None


def test_places_that_failed_are_left_out_until_they_are_no_more() -> None:
    """And only there, of this GPU."""
    view = node("n", gpu("GPU-a"))
    known = engine(view)
    everything = places(known, wish("3g.40gb"))
    known.sync([view], avoid=frozenset({("n", "GPU-a", 4), ("n", "GPU-b", 0), ("m", "GPU-a", 0)}))
    assert [place.choices[0].placed.window.start for place in places(known, wish("3g.40gb"))] == [0]
    known.sync([view])
    assert places(known, wish("3g.40gb")) == everything


def test_other_geometries_hold_at_once() -> None:
    view = node("n", gpu("GPU-a", fixed=(at("1g.10gb", 0),)))
    known = engine(view)
    assert known.find(wish("3g.40gb")) is not None
    known.sync([view], geometries=HALF_NARROW)
    assert known.find(wish("3g.40gb")) is None
    known.sync([view])
    assert known.find(wish("3g.40gb")) is not None


def test_a_foreign_slice_of_an_unknown_profile_takes_its_room_on_a_fleet_that_is_known_already() -> None:
    """The tables grow under the GPUs that are there, and all are still found."""
    plain = node("a", gpu("GPU-a"))
    known = engine(plain)
    before = places(known, wish("1g.10gb"))
    strange = Placed(Window(5, 3), profile("3g.99gb"))
    known.sync([plain, node("b", gpu("GPU-b", fixed=(strange, at("1g.10gb", 0))))])
    after = places(known, wish("1g.10gb"))
    assert [place for place in after if place.node == "a"] == before
    assert sorted(place.choices[0].placed.window.start for place in after if place.node == "b") == [1, 2, 3, 4]


def test_slices_of_declared_lifetime_may_leave_a_foreign_one_behind() -> None:
    """Foresight asks for the states that the GPU will come into; no legal sequence reaches them."""
    strange = Placed(Window(5, 3), profile("3g.99gb"))
    view = gpu("GPU-b", fixed=(strange, at("1g.10gb", 0), at("1g.10gb", 2)))
    view = replace(view, ends=((5.0, at("1g.10gb", 0)), (7.0, at("1g.10gb", 2))))
    known = engine(node("b", view))
    assert known.find(replace(wish("1g.10gb"), lasts=60.0)) is not None
