"""A stock that has followed its GPUs for long is equal to one that was made this moment of the same GPUs."""

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.choosing import places_on
from allocator.placement.mix import Mix
from allocator.placement.policy import Policy
from allocator.placement.stock import Card, Stock
from tests.placement.fleets import MIXES, POLICIES
from tests.placement.stocking import NODES, SPACES, cards, contents, space_named, table_of

Seen = tuple[object, ...]


def seen(stock: Stock) -> Seen:
    """All that a stock answers from: shelves in order, both rows of bits of each lane, and the order by ends."""
    kinds = range(len(stock.space.shape.offers))
    buckets = {state: {warm: tuple(shelf) for warm, shelf in it.items()} for state, it in stock.buckets.items()}
    lanes = tuple((stock.lane(kind).new, stock.lane(kind).reuse) for kind in kinds)
    ends = {state: (tuple(stock.by_end(state).known), tuple(stock.by_end(state).unknown)) for state in stock.buckets}
    return buckets, lanes, ends, len(stock)


def fresh(stock: Stock) -> Stock:
    """A stock with the same GPUs, which came in another order."""
    made = Stock(stock.table)
    for card in sorted(contents(stock), key=lambda card: card.uuid, reverse=True):
        made.add(copied(card))
    return made


def copied(card: Card) -> "Twin":
    return Twin(card.uuid, card.key, state=card.state, warm=card.warm, ends=card.ends, avoid=card.avoid)


class Twin(Card):
    """A GPU that is equal to one of another stock."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Card) and self.uuid == other.uuid

    def __hash__(self) -> int:
        return hash(self.uuid)


class Story:
    """Drawn steps on one stock."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.stock = Stock(table_of(space_named(data.draw(st.sampled_from(SPACES)))))
        self._born = count()

    def step(self) -> None:
        """Anything that happens to GPUs."""
        here = sorted(contents(self.stock), key=lambda card: card.uuid)
        steps = (
            ("add", "ask", "follow")
            if not here
            else ("add", "ask", "follow", "remove", "settle", "leave", "rekey", "aside")
        )
        step = self.data.draw(st.sampled_from(steps))
        if step == "add":
            nth = next(self._born)
            card = self.data.draw(cards(self.stock.space, f"GPU-{nth}", nth))
            if len(self.stock.space) > self.stock.table.size:
                self._follow()  # it is in a state that the table does not know
            self.stock.add(card)
        elif step == "ask":
            self.stock.lane(self.data.draw(st.integers(0, len(self.stock.space.shape.offers) - 1)))
        elif step == "follow":
            self._follow(self.data.draw(st.sampled_from(POLICIES)), self.data.draw(st.sampled_from(MIXES)))
        else:
            self._touch(step, self.data.draw(st.sampled_from(here)))

    def _follow(self, policy: Policy = POLICIES[0], mix: Mix = MIXES[0]) -> None:
        self.stock.follow(table_of(self.stock.space, policy, mix))

    def _touch(self, step: str, card: Card) -> None:
        stock, draw = self.stock, self.data.draw
        if step == "remove":
            stock.remove(card)
            assert card.stock is None
        elif step == "rekey":
            stock.rekey(card, (-draw(st.sampled_from((0.25, 0.75))), draw(st.sampled_from(NODES)), card.key[2]))
        elif step == "settle":
            places = [it for kind in range(len(stock.space.shape.offers)) for it in places_on(card, stock, kind)]
            if places:
                place = draw(st.sampled_from(places))
                stock.settle(card, place.kind, place.option, end=draw(st.none() | st.just(3.0)))
        elif step == "leave" and card.ends:
            _, kind, start = draw(st.sampled_from(card.ends))
            assert stock.leave(card, kind, start, warm=draw(st.booleans())) is not None
        else:
            before = seen(stock)
            with stock.aside(card):
                assert card not in contents(stock)
            assert seen(stock) == before


@settings(max_examples=150)
@given(st.data())
def test_any_story_ends_in_a_stock_equal_to_a_fresh_one(data: st.DataObject) -> None:
    story = Story(data)
    if data.draw(st.booleans()):
        story.stock.by_end(0)  # from then on the order by ends is kept, not made
    for _ in range(data.draw(st.integers(1, 12))):
        story.step()
    assert seen(fresh(story.stock)) == seen(story.stock)
    assert all(card.stock is story.stock for card in contents(story.stock))


@settings(max_examples=100)
@given(st.data())
def test_what_is_settled_lies_where_it_was_said(data: st.DataObject) -> None:
    """The state after it is that of the slices, the warm ones that it reuses or that must go are gone, its end is known."""
    stock = Stock(table_of(space_named(data.draw(st.sampled_from(SPACES)))))
    card = data.draw(cards(stock.space, "GPU-0", 0))
    stock.add(card)
    places = [it for kind in range(len(stock.space.shape.offers)) for it in places_on(card, stock, kind)]
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    before, warm, ends = card.state, set(stock.warmth.placed(card.warm)), card.ends
    stock.settle(card, place.kind, place.option, end=9.0)
    put = stock.space.placed[place.kind][place.option.start]
    assert card.state == stock.space.after(before, place.kind, put.window.start)
    assert set(stock.warmth.placed(card.warm)) == warm - {put} - set(stock.warmth.placed(place.option.drops))
    assert card.ends == (*ends, (9.0, place.kind, put.window.start))
    assert stock.leave(card, place.kind, put.window.start, warm=False) == 9.0
    assert (card.state, card.ends) == (before, ends)
