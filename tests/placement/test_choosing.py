"""The best place is the first of all places, and all places are told, once each, in the documented order."""

from collections.abc import Iterable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.choosing import Lanes, Ranked, places_on, scales_of
from allocator.placement.stock import Card, Stock
from tests.placement.fleets import profile
from tests.placement.stocking import A100, NODES, contents, space_named, stocks, table_of

NAMES = ("1g.10gb", "1g.10gb", "2g.10gb", "2g.20gb", "3g.40gb", "1g.10gb+me", "7g.80gb")
"""The first two spaces have all but `2g.10gb`, the third has that and `1g.10gb`."""

Told = tuple[float, int, int, tuple[float, str, int], int, bool, int]
"""What places are compared by: gain with margin, use, demand for what is dropped, GPU, start; whether it is reused, what goes."""


def by_hand(filled: Iterable[Stock], name: str) -> list[Told]:
    """Every GPU and start, from the value table alone."""
    offering = [stock for stock in filled if profile(name) in stock.space.kinds]
    scales = scales_of(offering)
    return sorted(
        it
        for stock in offering
        for card in contents(stock)
        for it in on_card(stock, card, name, scales[id(stock.space)])
    )


def on_card(stock: Stock, card: Card, name: str, scale: float) -> Iterator[Told]:
    space, value = stock.space, stock.table.billionths
    kind = space.kinds[profile(name)]
    for start, after in space.places(card.state, kind):
        warm = bool(card.warm & stock.warmth.bit(kind, start))
        if start in card.avoid and not warm:
            continue
        gain = value[after] - value[card.state] + warm * stock.table.margin
        cost, drops = (0, 0) if warm else stock.warmth.drops(after, card.warm, stock.table.shares)
        used = space.shape.width - space.free[card.state]
        yield -gain * scale, -used, cost, card.key, start, warm, drops


def told(place: Ranked, scale: float) -> Told:
    option, stock, kind, rank = place
    gain, used = stock.table.ladder(kind).standing(rank)
    worth = (gain + option.reuse * stock.table.margin) * scale
    return -worth, -used, option.cost, option.key, option.start, option.reuse, option.drops


def all_told(lanes: Lanes, places: Iterable[Ranked]) -> list[Told]:
    scales = scales_of(stock for stock, _ in lanes.stocks)
    return [told(place, scales[id(place.stock.space)]) for place in places]


@settings(max_examples=250)
@given(stocks(), st.sampled_from(NAMES))
def test_every_place_is_told_once_and_in_order(filled: list[Stock], name: str) -> None:
    """Of one space or several, reuse where a warm slice lies, nothing new where making one failed."""
    lanes = Lanes.of(filled, profile(name))
    assert all_told(lanes, lanes.ranked()) == by_hand(filled, name)


@settings(max_examples=250)
@given(stocks(), st.sampled_from(NAMES), st.sets(st.sampled_from(NODES)))
def test_the_best_is_the_first_of_all_on_the_nodes_that_fit(filled: list[Stock], name: str, fit: set[str]) -> None:
    lanes = Lanes.of(filled, profile(name))
    expected = [it for it in by_hand(filled, name) if it[3][1] in fit]
    assert all_told(lanes, lanes.ranked(fit.__contains__)) == expected
    best = lanes.first(fit.__contains__)
    assert all_told(lanes, [] if best is None else [best]) == expected[:1]


@settings(max_examples=100)
@given(stocks(), st.sampled_from(NAMES))
def test_without_a_filter_the_best_is_the_first_of_all(filled: list[Stock], name: str) -> None:
    lanes = Lanes.of(filled, profile(name))
    assert lanes.first() == next(lanes.ranked(), None)


@settings(max_examples=100)
@given(stocks(), st.sampled_from(NAMES))
def test_a_gpus_own_places_are_those_that_are_told_of_it(filled: list[Stock], name: str) -> None:
    lanes = Lanes.of(filled, profile(name))
    everything = sorted(place.option for place in lanes.ranked())
    kinds = [(stock, kind) for stock, kind in lanes.stocks]
    alone = sorted(
        place.option for stock, kind in kinds for card in contents(stock) for place in places_on(card, stock, kind)
    )
    assert everything == alone


@settings(max_examples=60)
@given(st.data())
def test_where_few_nodes_fit_of_many_their_gpus_are_looked_at_one_by_one(data: st.DataObject) -> None:
    """The answer is that of the long way, and the long way is not gone: places are passed over some hundred times at most."""
    filled = data.draw(stocks(most=2))
    lanes = Lanes.of(filled, profile(data.draw(st.sampled_from(NAMES))))
    crowd = [Card(f"X-{index}", (-1.0, f"x{index:03}", 0), state=0) for index in range(300)]
    for card in crowd:
        filled[0].add(card)
    fit = data.draw(st.sets(st.sampled_from(NODES)))
    asked: list[str] = []

    def fits(node: str) -> bool:
        asked.append(node)
        return node in fit

    cards = [card for stock in filled for card in contents(stock) if card.key[1] in fit]
    assert lanes.first(fits, cards=lambda: cards) == next(lanes.ranked(fit.__contains__), None)
    assert len(asked) < 300


def test_where_nothing_offers_a_profile_there_is_no_place() -> None:
    assert Lanes([]).first() is None
    assert Lanes.of([Stock(table_of(space_named(A100)))], profile("1g.6gb")).first() is None
