"""A slice of declared lifetime lies where it scores best among the GPUs looked at; it is refused only where it fits nowhere."""

from collections.abc import Iterable
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.choosing import Lanes, Ranked, places_on, scales_of
from allocator.placement.durations import Scale, tuned
from allocator.placement.foresight import Adjusted, Foresight
from allocator.placement.mix import Mix
from allocator.placement.outlook import Outlook
from allocator.placement.policy import Policy
from allocator.placement.stock import Card, Stock
from tests.placement.fleets import MIXES, POLICIES, profile
from tests.placement.stocking import NODES, SPACES, cards, contents, space_named, table_of

NAMES = ("1g.10gb", "2g.20gb", "3g.40gb", "1g.10gb+me")
NOW = 2.0
"""Some ends have passed, one comes at this moment."""


class Scene(NamedTuple):
    """What is asked for, and where."""

    policy: Policy
    mix: Mix
    stocks: list[Stock]
    name: str
    lasts: float
    scale: Scale

    @property
    def lanes(self) -> Lanes:
        """What there is to choose from."""
        return Lanes.of(self.stocks, profile(self.name))

    def first(self, *, looks: int = 1000, fit: Iterable[str] = NODES) -> Ranked | None:
        """The answer."""
        foresight = Foresight(self.policy, tuned(), self.mix, looks=looks)
        return foresight.first(self.lanes, lasts=self.lasts, now=NOW, scale=self.scale, fits=set(fit).__contains__)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    policy, mix = draw(st.sampled_from(POLICIES)), draw(st.sampled_from(MIXES))
    drawn = [
        (name, draw(st.integers(0, 4))) for name in draw(st.lists(st.sampled_from(SPACES), min_size=1, max_size=3))
    ]
    made, born = [], 0
    for name, many in drawn:
        space = space_named(name)
        here = [draw(cards(space, f"GPU-{born + nth}", born + nth)) for nth in range(many)]
        born += many
        made.append(filled(Stock(table_of(space, policy, mix)), here))
    scale = draw(st.sampled_from((Scale(), Scale().after(1.0), Scale().after(20.0))))
    return Scene(policy, mix, made, draw(st.sampled_from(NAMES)), draw(st.sampled_from((0.5, 1.0, 3.0, 50.0))), scale)


def filled(stock: Stock, cards: Iterable[Card]) -> Stock:
    for card in cards:
        stock.add(card)
    return stock


def scored(scene: Scene) -> list[tuple[float, Ranked]]:
    """Every place on every GPU, best first, by the outlook alone."""
    found = []
    scales = scales_of(stock for stock, _ in scene.lanes.stocks)
    for stock, kind in scene.lanes.stocks:
        durations, space = tuned(), stock.space
        table = table_of(space, Adjusted(scene.policy, durations.coefficients.value), scene.mix)
        outlook = Outlook(space, [table.value(state) for state in range(table.size)], durations)
        margin, unit = durations.coefficients.now * table.margin / 1e9, scales[id(space)] * 1e9
        for card in contents(stock):
            for place in places_on(card, stock, kind):
                score = outlook.score(
                    scene.lasts,
                    before=card.state,
                    after=place.option.after,
                    window=space.placed[kind][place.option.start].window,
                    ends=card.ends,
                    now=NOW,
                    scale=scene.scale.seconds or scene.lasts,
                )
                found.append((-(score + margin * place.option.reuse) * unit, place))
    return sorted(found)


@settings(max_examples=250)
@given(scenes())
def test_with_looks_enough_it_is_the_best_of_all(scene: Scene) -> None:
    """It may stop early, and then has lost nothing."""
    expected = scored(scene)
    assert scene.first() == (expected[0][1] if expected else None)


@settings(max_examples=250)
@given(scenes(), st.integers(1, 3), st.sets(st.sampled_from(NODES)))
def test_it_never_refuses_what_fits_however_few_the_looks(scene: Scene, looks: int, fit: set[str]) -> None:
    """Neither GPUs on nodes that do not take the Pod use them up, nor those on which making a slice has just failed."""
    found = scene.first(looks=looks, fit=fit)
    there = [place for _, place in scored(scene) if place.option.card.node in fit]
    assert (found in there) if there else found is None


@settings(max_examples=100)
@given(scenes(), st.integers(1, 3))
def test_the_order_in_which_gpus_came_does_not_matter(scene: Scene, looks: int) -> None:
    here = scene.first(looks=looks)
    for stock in scene.stocks:
        for card in sorted(contents(stock), key=lambda card: card.uuid, reverse=True):
            stock.remove(card)
            stock.add(card)
    there = scene._replace(stocks=scene.stocks[::-1]).first(looks=looks)
    assert (here and here.option) == (there and there.option)


def test_more_looks_never_score_worse() -> None:
    """Ends far from the new one's first: the one that a single look takes is the most promising, not the best."""
    space = space_named(SPACES[0])
    one, three = space.kinds[profile("1g.10gb")], space.kinds[profile("3g.40gb")]
    near = space.after(space.after(0, three, 0), one, 4)
    made = filled(
        Stock(table_of(space)),
        [Card(f"GPU-{nth}", (-1.0, "n0", nth), state=near, ends=((float(nth), three, 0),)) for nth in range(8)],
    )
    scene = Scene(POLICIES[0], MIXES[0], [made], "1g.10gb", 3.0, Scale().after(2.0))
    scores = {place.option: score for score, place in scored(scene)}
    found = [place for looks in (1, 2, 4, 8) if (place := scene.first(looks=looks)) is not None]
    told = [scores[place.option] for place in found]
    assert len(told) == 4
    assert told == sorted(told, reverse=True)


def test_an_end_that_left_with_its_slice_is_forgotten() -> None:
    """The GPU answers like one on which the slice never was."""
    space = space_named(SPACES[0])
    made = Stock(table_of(space))
    card, plain = (Card("GPU-0", (-1.0, "n0", 0), state=0) for _ in range(2))
    made.add(card)
    scene = Scene(POLICIES[0], MIXES[0], [made], "1g.10gb", 3.0, Scale())
    before = scene.first()
    assert before is not None
    made.settle(card, before.kind, before.option, end=9.0)
    assert scene.first() != before
    made.leave(card, before.kind, before.option.start, warm=False)
    assert (card.state, card.ends, card.warm) == (plain.state, plain.ends, plain.warm)
    assert scene.first() == before
