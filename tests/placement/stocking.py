"""Stocks for tests, filled with drawn GPUs, and how they look from outside."""

from collections.abc import Sequence
from itertools import count

from hypothesis import strategies as st

from allocator.placement.mix import Mix
from allocator.placement.policy import Policy
from allocator.placement.states import StateSpace, space_of
from allocator.placement.stock import Card, End, Stock
from allocator.placement.table import Table
from allocator.placement.warmth import warmth_of
from tests.placement.fleets import MIXES, NARROW, POLICIES, layouts
from tests.support.shapes import shapes

A100, A100_NARROW, A100_SMALL = "a100-80gb", "a100-80gb narrowed", "a100-40gb"
SPACES = (A100, A100_NARROW, A100_SMALL)
NODES = ("n0", "n1", "n2")


def space_named(name: str) -> StateSpace:
    """One of `SPACES`; all of them offer `1g.10gb`, the last in two memory slices."""
    model = name.split(maxsplit=1)[0]
    return space_of(shapes()[model], NARROW.for_model(model) if name.endswith("narrowed") else None)


def table_of(space: StateSpace, policy: Policy = POLICIES[0], mix: Mix = MIXES[0]) -> Table:
    """A policy's table of a space, with all states that were met."""
    space.explore()
    return Table(space, policy, mix.shares(space.shape))


def tables(space: StateSpace) -> st.SearchStrategy[Table]:
    """Any policy under any mix."""
    return st.builds(
        lambda policy, mix: table_of(space, policy, mix), st.sampled_from(POLICIES), st.sampled_from(MIXES)
    )


@st.composite
def cards(draw: st.DrawFn, space: StateSpace, uuid: str, index: int) -> Card:
    """A GPU: slices in use, some with known ends, warm ones, now and then starts at which nothing is made."""
    laid = [item for item in draw(layouts(space.shape)) if space.kinds.get(item.profile) is not None]
    warm = draw(st.sets(st.sampled_from(laid))) if laid else set()
    fixed = [item for item in laid if item not in warm]
    known = [(float(draw(st.integers(0, 5))), item) for item in fixed if draw(st.booleans())]
    ends: tuple[End, ...] = tuple(sorted((end, space.kinds[it.profile], it.window.start) for end, it in known))
    avoid = draw(st.frozensets(st.integers(0, 7), max_size=2)) if draw(st.integers(0, 3)) == 0 else frozenset[int]()
    key = (-draw(st.sampled_from((0.5, 1.0))), draw(st.sampled_from(NODES)), index)
    return Card(uuid, key, state=space.meet(fixed), warm=warmth_of(space).bits(warm), ends=ends, avoid=avoid)


@st.composite
def stocks(draw: st.DrawFn, spaces: Sequence[str] = SPACES, most: int = 3) -> list[Stock]:
    """Some stocks; several may be of one space, under one table then."""
    policy, mix = draw(st.sampled_from(POLICIES)), draw(st.sampled_from(MIXES))
    born = count()
    made = []
    for name in draw(st.lists(st.sampled_from(spaces), min_size=1, max_size=most)):
        space = space_named(name)
        drawn = [draw(cards(space, f"GPU-{nth}", nth)) for nth in (next(born) for _ in range(draw(st.integers(0, 4))))]
        stock = Stock(table_of(space, policy, mix))
        for card in drawn:
            stock.add(card)
        made.append(stock)
    return made


def contents(stock: Stock) -> list[Card]:
    """Every GPU of a stock."""
    return [card for bucket in stock.buckets.values() for shelf in bucket.values() for _, card in shelf]
