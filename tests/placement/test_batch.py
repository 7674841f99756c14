"""Pods that wait are planned together: in their order, and none is refused for the order alone."""

from hypothesis import given
from hypothesis import strategies as st

from allocator.placement.batch import Answer, Waiting, plan
from allocator.placement.engine import Engine
from allocator.placement.fleet import GpuView, NodeFacts, NodeView, Resources, Wish
from allocator.placement.placement import Placement
from allocator.placement.refusal import Refusal
from mig.demand import Need
from mig.occupancy import Placed, first_fault
from mig.placements import Window
from mig.profiles import parse_profile
from tests.support.shapes import shapes

SHAPE = shapes()["a100-80gb"]
FACTS = NodeFacts("n1", "uid", {"nos.nebuly.com/gpu-partitioning": "mig"}, (), True, False, Resources(8000, 2**34, 110))


def fleet(*gpus: tuple[Placed, ...], pods: int = 110) -> NodeView:
    views = tuple(GpuView(f"GPU-{index}", "A100", SHAPE, fixed) for index, fixed in enumerate(gpus))
    return NodeView(FACTS, Resources(8000, 2**34, pods), views)


def at(profile: str, start: int) -> Placed:
    offer = SHAPE.by_profile[parse_profile(profile)]
    return Placed(Window(start, offer.size), offer.profile)


def waiting(*profiles: str) -> list[Waiting]:
    return [
        Waiting(Wish(f"u{index}", "ns", f"p{index}", (Need(parse_profile(name), ("c",)),)))
        for index, name in enumerate(profiles)
    ]


def planned(node: NodeView, *profiles: str) -> list[Answer]:
    engine = Engine()
    engine.sync([node])
    answers = plan(engine, waiting(*profiles))
    for gpu in engine.view(node.name).gpus:
        assert first_fault(gpu.shape, gpu.fixed) is None
    return answers


def placed(answers: list[Answer]) -> list[bool]:
    return [isinstance(answer, Placement) for answer in answers]


def test_a_pod_is_not_refused_for_the_order_alone() -> None:
    """The 2g that came first lies well where it is, until a second 4g comes, which then needs its room: both 4g lie at 0."""
    node = fleet((at("2g.20gb", 4),), ())
    assert placed(planned(node, "2g.20gb", "4g.40gb")) == [True, True]
    answers = planned(node, "2g.20gb", "4g.40gb", "4g.40gb")
    assert placed(answers) == [True, True, True]
    large = [answer for answer in answers[1:] if isinstance(answer, Placement)]
    assert [choice.placed.window.start for answer in large for choice in answer.choices] == [0, 0]


def test_the_first_come_have_the_choice_where_not_all_fit() -> None:
    """A large one that comes last moves nobody out."""
    assert placed(planned(fleet(()), "1g.10gb", "7g.80gb")) == [True, False]
    assert placed(planned(fleet(()), "7g.80gb", "1g.10gb")) == [True, False]


@given(
    st.lists(
        st.sampled_from(["1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"]), min_size=1, max_size=7
    )
)
def test_nobody_loses_his_place_to_a_later_one(names: list[str]) -> None:
    """Whoever found a place in a shorter batch finds one in the longer."""
    node = fleet((), (at("3g.40gb", 0),))
    answers = planned(node, *names)
    for length in range(1, len(names)):
        assert placed(planned(node, *names[:length])) == placed(answers)[:length]


def test_equal_batches_give_equal_plans() -> None:
    names = ("1g.10gb", "3g.40gb", "1g.20gb", "7g.80gb", "4g.40gb")
    assert planned(fleet((), ()), *names) == planned(fleet((), ()), *names)


def test_a_refusal_holds_for_all_who_ask_for_the_same_and_for_nobody_else() -> None:
    answers = planned(fleet((at("7g.80gb", 0),), (at("4g.40gb", 0),)), "7g.80gb", "7g.80gb", "3g.40gb")
    assert isinstance(answers[0], Refusal)
    assert answers[1] == answers[0]
    assert isinstance(answers[2], Placement)


def test_a_batch_ends_where_so_many_have_found_a_place() -> None:
    engine = Engine()
    engine.sync([fleet((), ())])
    assert placed(plan(engine, waiting("7g.80gb", "7g.80gb", "1g.10gb"), most=1)) == [True]


def test_what_is_no_matter_of_slices_is_counted_too() -> None:
    """Two Pods more are all that the node takes."""
    assert placed(planned(fleet((), (), pods=2), "1g.10gb", "1g.10gb", "1g.10gb")) == [True, True, False]
