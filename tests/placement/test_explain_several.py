"""A Pod of several slices: what the whole of it is worth on its node, and the best other node."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.choosing import scales_of
from allocator.placement.engine import Engine
from allocator.placement.explain import Decision, explain
from allocator.placement.fleet import NodeView, Wish
from allocator.placement.packing import Packer
from allocator.placement.policy import Tiny
from allocator.placement.refusal import Refusal
from allocator.placement.standing import Criterion
from tests.placement.fleets import MIXES, POLICIES, WHOLE, at, fleets, gpu, node, offered, wish


def decided(asked: Wish, *nodes: NodeView) -> Decision:
    engine = Engine(Tiny())
    engine.sync(nodes)
    answer = explain(engine, asked).answer
    assert isinstance(answer, Decision), answer
    return answer


@settings(max_examples=150)
@given(st.data())
def test_the_runner_up_is_what_the_engine_takes_without_the_node_and_stands_no_higher(data: st.DataObject) -> None:
    fleet = data.draw(fleets())
    names = data.draw(st.lists(st.sampled_from(offered(fleet)), min_size=2, max_size=4))
    engine = Engine(data.draw(st.sampled_from(POLICIES)), mix=data.draw(st.sampled_from(MIXES)))
    engine.sync(fleet)
    explanation = explain(engine, wish(*names))
    answer = explanation.answer
    found = [
        view.name
        for view in fleet
        if engine.find(wish(*names), shunned=frozenset(other.name for other in fleet if other is not view))
    ]
    assert explanation.survey.places == len(found)
    if isinstance(answer, Refusal):
        assert not found
        return
    node_name = answer.chosen.placement.node
    without = engine.find(wish(*names), shunned=frozenset({node_name}))
    assert (answer.elsewhere.standing.placement if answer.elsewhere else None) == without
    assert answer.beside is None
    if answer.elsewhere is not None:
        assert answer.elsewhere.decided_by is not Criterion.PROMISE


@settings(max_examples=100)
@given(st.data())
def test_what_it_is_worth_is_what_packing_says(data: st.DataObject) -> None:
    fleet = data.draw(fleets(models=("a100-80gb", "h100-80gb")))
    names = data.draw(st.lists(st.sampled_from(offered(fleet)), min_size=2, max_size=4))
    engine = Engine(data.draw(st.sampled_from(POLICIES)), mix=data.draw(st.sampled_from(MIXES)))
    engine.sync(fleet)
    asked = wish(*names)
    answer, sought = explain(engine, asked).answer, engine.sought(asked)
    packer = Packer(names, scales=scales_of(sought.stocks))
    best = packer.best([list(rack.cards.values()) for rack in sought.racks])
    if best is None:
        assert isinstance(answer, Refusal)
        return
    assert isinstance(answer, Decision)
    cards, filling = best
    assert answer.chosen.placement.node == cards[0].node
    assert answer.chosen.worth == round(filling.score / 1e9, 9)
    assert (answer.chosen.used, answer.chosen.cost) == (filling.used, -filling.cost / 1e9)


def test_of_equal_packings_the_node_with_more_room_is_taken() -> None:
    """Also where another node looked more promising before it was packed."""
    tight = node("n1", gpu("GPU-1"), gpu("GPU-2"), free=replace(WHOLE, milli_cpu=4000))
    decision = decided(wish("3g.40gb", "4g.40gb"), tight, node("n2", gpu("GPU-3"), gpu("GPU-4")))
    assert decision.chosen.placement.node == "n2"
    assert decision.elsewhere is not None
    assert decision.elsewhere.standing.placement.node == "n1"
    assert decision.elsewhere.decided_by is Criterion.ROOM


def test_a_node_where_less_is_broken_up_wins_by_value() -> None:
    half = node("n1", gpu("GPU-1", fixed=[at("4g.40gb", 0)]), gpu("GPU-2", fixed=[at("3g.40gb", 4)]))
    decision = decided(
        wish("3g.40gb", "4g.40gb"), node("n0", gpu("GPU-3"), gpu("GPU-4", fixed=[at("1g.10gb", 2)])), half
    )
    assert decision.chosen.placement.node == "n1"
    assert decision.elsewhere is not None
    assert decision.elsewhere.decided_by is Criterion.VALUE
    assert decision.chosen.worth > decision.elsewhere.standing.worth


def test_more_slices_than_are_packed_exactly_go_by_the_nodes_room() -> None:
    many = ["1g.10gb"] * 15 + ["1g.20gb"] * 15 + ["2g.20gb"] * 15 + ["3g.40gb"]
    cards = [gpu(f"GPU-{index}") for index in range(30)]
    tight = node("n1", *cards[:15], free=replace(WHOLE, milli_cpu=4000))
    engine = Engine(Tiny())
    engine.sync([tight, node("n2", *cards[15:])])
    explanation = explain(engine, wish(*many))
    assert isinstance(explanation.answer, Decision)
    assert explanation.answer.chosen.placement.node == "n2"
    assert explanation.answer.elsewhere is not None
    assert explanation.answer.elsewhere.decided_by is Criterion.ROOM
    assert explanation.survey.places is None
