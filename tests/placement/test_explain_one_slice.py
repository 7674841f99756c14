"""What is said of a choice is what made it: the place, the best of the others, and their difference, as brute force finds them."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.engine import Engine
from allocator.placement.explain import Decision, Rival, explain, rank, weigh
from allocator.placement.fleet import NodeView
from allocator.placement.refusal import Refusal
from allocator.placement.standing import Criterion, Standing
from mig.profiles import Profile
from tests.placement.fleets import GEOMETRIES, MIXES, POLICIES, fleets, offered, wish
from tests.placement.naive import Mind, Spot, spots

Scene = tuple[Mind, tuple[NodeView, ...], Profile]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    fleet = draw(fleets())
    mind = Mind(draw(st.sampled_from(POLICIES)), draw(st.sampled_from(MIXES)), draw(st.sampled_from(GEOMETRIES)))
    return mind, fleet, draw(st.sampled_from(offered(fleet)))


def engine(mind: Mind, fleet: Sequence[NodeView]) -> Engine:
    made = Engine(mind.policy, mix=mind.mix)
    made.sync(fleet, geometries=mind.geometries)
    return made


def spot(standing: Standing) -> tuple[str, int, bool, frozenset[object]]:
    (choice,) = standing.placement.choices
    return choice.gpu, choice.placed.window.start, choice.reuse, frozenset(choice.drops)


def expected(place: Spot) -> tuple[str, int, bool, frozenset[object]]:
    return place.gpu, place.start, place.reuse, frozenset(place.drops)


def told(rival: Rival | None) -> tuple[object, Criterion] | None:
    return None if rival is None else (spot(rival.standing), rival.decided_by)


def difference(mind: Mind, fleet: Sequence[NodeView], profile: Profile, best: Spot, other: Spot) -> Criterion:
    """The first of the documented criteria in which two places differ."""
    if best.score != other.score:
        gpus = {gpu.uuid: gpu for node in fleet for gpu in node.gpus if profile in gpu.shape.by_profile}
        scales = mind.scales(gpus.values())
        unit = 1e9 if len(scales) == 1 else 1.0
        plain = [
            -place.score - place.reuse * mind.margin(gpu) * scales[id(mind.space(gpu))]
            for place, gpu in ((best, gpus[best.gpu]), (other, gpus[other.gpu]))
        ]
        return Criterion.REUSE if round((plain[0] - plain[1]) / unit, 9) <= 0 else Criterion.VALUE
    for criterion, here, there in (
        (Criterion.FULLER, best.used, other.used),
        (Criterion.WARM, best.cost, other.cost),
        (Criterion.ROOM, best.key[0], other.key[0]),
    ):
        if here != there:
            return criterion
    return Criterion.NAMES


@settings(max_examples=300)
@given(scenes())
def test_the_runners_up_are_the_best_of_the_others_and_the_first_difference_decided(scene: Scene) -> None:
    mind, fleet, profile = scene
    everything = spots(mind, fleet, profile)
    answer = explain(engine(mind, fleet), wish(profile)).answer
    if not everything:
        assert isinstance(answer, Refusal)
        return
    assert isinstance(answer, Decision)
    best, *others = everything
    assert spot(answer.chosen) == expected(best)
    for rival, among in (
        (answer.elsewhere, [it for it in others if it.gpu != best.gpu]),
        (answer.beside, [it for it in others if it.gpu == best.gpu]),
    ):
        first = (expected(among[0]), difference(mind, fleet, profile, best, among[0])) if among else None
        assert told(rival) == first


@settings(max_examples=150)
@given(scenes())
def test_all_places_are_counted_and_each_stands_where_brute_force_ranks_it(scene: Scene) -> None:
    mind, fleet, profile = scene
    made, asked = engine(mind, fleet), wish(profile)
    everything = [expected(place) for place in spots(mind, fleet, profile)]
    assert explain(made, asked).survey.places == len(everything)
    sought = made.sought(asked)
    ranks = {spot(place): rank(sought, place) for card in sought.cards() for place in sought.on(card)}
    assert ranks == {place: number for number, place in enumerate(everything, 1)}


@settings(max_examples=150)
@given(scenes(), st.data())
def test_who_asks_for_reasons_changes_nothing(scene: Scene, data: st.DataObject) -> None:
    mind, fleet, profile = scene
    asked, plain = engine(mind, fleet), engine(mind, fleet)
    for name in [profile, *data.draw(st.lists(st.sampled_from(offered(fleet)), max_size=4))]:
        explain(asked, wish(name))
        found = plain.find(wish(name))
        assert asked.find(wish(name)) == found
        if found is not None:
            weigh(asked, wish(name), found)
            asked.take(wish(name), found)
            plain.take(wish(name), found)
    assert asked.views == plain.views
