"""A plan gives the reasons for the places that stand in the end, and is the same plan whether reasons are asked for or not."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.batch import Waiting, plan
from allocator.placement.engine import Engine
from allocator.placement.explain import Decision
from allocator.placement.fleet import NodeView
from allocator.placement.placement import Placement
from allocator.placement.policy import Tiny
from tests.placement.fleets import at, fleets, gpu, node, offered, wish


def engine_on(fleet: Sequence[NodeView]) -> Engine:
    made = Engine(Tiny())
    made.sync(fleet)
    return made


@settings(max_examples=100)
@given(st.data())
def test_every_place_has_its_reason_and_no_refusal_has_one(data: st.DataObject) -> None:
    fleet = data.draw(fleets())
    asked = data.draw(st.lists(st.lists(st.sampled_from(offered(fleet)), min_size=1, max_size=2), max_size=8))
    waiting = [Waiting(wish(*names)) for names in asked]
    why: dict[int, Decision] = {}
    answers = plan(engine_on(fleet), waiting, why=why)
    assert answers == plan(engine_on(fleet), waiting)
    placed = {index: answer for index, answer in enumerate(answers) if isinstance(answer, Placement)}
    assert {index: decision.chosen.placement for index, decision in why.items()} == placed


def test_pods_that_were_planned_once_more_have_the_reasons_of_the_plan_that_stands() -> None:
    """The 2g lies elsewhere once a second 4g has come; a 7g, which fits nowhere, leaves all reasons as they are."""
    fleet = [node("n1", gpu("GPU-1", fixed=[at("2g.20gb", 4)]), gpu("GPU-2"))]
    asked = [Waiting(wish(name)) for name in ("2g.20gb", "4g.40gb", "4g.40gb", "7g.80gb")]
    why: dict[int, Decision] = {}
    answers = plan(engine_on(fleet), asked, why=why)
    assert [isinstance(answer, Placement) for answer in answers] == [True, True, True, False]
    assert [why[index].chosen.placement for index in sorted(why)] == answers[:3]
    assert answers[0] != plan(engine_on(fleet), asked[:1])[0], "it was planned once more"
