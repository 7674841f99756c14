"""A slice of declared lifetime: whether it was the ends of the neighbours that decided, and how far it was looked."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.durations import Scale
from allocator.placement.engine import Engine
from allocator.placement.explain import Decision, explain
from allocator.placement.fleet import GpuView, NodeView
from allocator.placement.mix import Mix
from allocator.placement.outlook import LOOKS
from allocator.placement.refusal import Refusal
from allocator.placement.standing import Criterion
from tests.placement.fleets import POLICIES, at, fleets, gpu, node, offered, wish

NOW = 1_000_000.0


def engine_on(*nodes: NodeView) -> Engine:
    made = Engine()
    made.follow(Mix(), Scale().after(3600), now=NOW)
    made.sync(nodes)
    return made


def decided(lasts: float, *nodes: NodeView, profile: str = "1g.10gb") -> Decision:
    answer = explain(engine_on(*nodes), replace(wish(profile), lasts=lasts)).answer
    assert isinstance(answer, Decision), answer
    return answer


def running(uuid: str, *, left: float) -> GpuView:
    """A GPU with one slice of known end."""
    slices = (at("2g.20gb", 4),)
    return replace(gpu(uuid, fixed=slices), ends=tuple((NOW + left, item) for item in slices))


def test_where_only_the_ends_differ_they_decide() -> None:
    decision = decided(3600, node("n1", running("GPU-1", left=100), running("GPU-2", left=3600)))
    (choice,) = decision.chosen.placement.choices
    assert choice.gpu == "GPU-2"
    assert decision.elsewhere is not None
    assert decision.elsewhere.decided_by is Criterion.ENDS
    assert decision.chosen.ends is not None
    assert decision.elsewhere.standing.ends is not None
    assert decision.chosen.ends > decision.elsewhere.standing.ends


def test_where_ends_are_alike_something_else_decides() -> None:
    alike = decided(3600, node("n1", running("GPU-1", left=3600), running("GPU-2", left=3600)))
    assert alike.elsewhere is not None
    assert alike.elsewhere.decided_by is Criterion.NAMES


def test_without_a_declared_lifetime_ends_count_for_nothing() -> None:
    engine = engine_on(node("n1", running("GPU-1", left=100), running("GPU-2", left=3600)))
    answer = explain(engine, wish("1g.10gb")).answer
    assert isinstance(answer, Decision)
    assert answer.chosen.ends is None
    assert answer.elsewhere is not None
    assert answer.elsewhere.decided_by is Criterion.NAMES


@settings(max_examples=150)
@given(st.data())
def test_on_few_gpus_the_choice_is_the_best_of_all_and_the_runners_up_of_the_rest(data: st.DataObject) -> None:
    """At most as many GPUs as are looked at, so that nothing is left out."""
    fleet = tuple(_with_ends(data, view) for view in data.draw(fleets()))
    asked = replace(wish(data.draw(st.sampled_from(offered(fleet)))), lasts=data.draw(st.floats(1, 1e5)))
    engine = Engine(data.draw(st.sampled_from(POLICIES)))
    engine.follow(Mix(), Scale().after(3600), now=NOW)
    engine.sync(fleet)
    sought = engine.sought(asked)
    everything = sorted((it for card in sought.cards() for it in sought.on(card)), key=lambda it: it.order)
    answer = explain(engine, asked).answer
    if isinstance(answer, Refusal):
        assert not everything
        return
    best, *others = everything
    assert answer.chosen == best
    gpu_of = {id(it): it.placement.choices[0].gpu for it in everything}
    for rival, among in (
        (answer.elsewhere, [it for it in others if gpu_of[id(it)] != gpu_of[id(best)]]),
        (answer.beside, [it for it in others if gpu_of[id(it)] == gpu_of[id(best)]]),
    ):
        assert (rival.standing if rival else None) == (among[0] if among else None)
        assert rival is None or rival.decided_by is not Criterion.PROMISE


def _with_ends(data: st.DataObject, view: NodeView) -> NodeView:
    def ending(item: GpuView) -> GpuView:
        known = [it for it in item.fixed if it.profile in item.shape.by_profile and data.draw(st.booleans())]
        lefts = [data.draw(st.sampled_from((-5.0, 60.0, 3600.0, 86400.0))) for _ in known]
        return replace(item, ends=tuple(sorted((NOW + left, it) for left, it in zip(lefts, known, strict=True))))

    return replace(view, gpus=tuple(map(ending, view.gpus)))


def halves(uuid: str, *, first: float, second: float) -> GpuView:
    """A GPU whose first half is taken until `first`, and of whose second half a part until `second`, seconds from now."""
    slices = (at("4g.40gb", 0), at("1g.10gb", 4))
    ends = sorted(zip((NOW + first, NOW + second), slices, strict=True))
    return replace(gpu(uuid, fixed=slices), ends=tuple(ends))


def test_a_better_place_that_was_not_looked_at_is_owned_up_to() -> None:
    """Its GPU empties a little later than all the others, and only a look at its half would have shown that it is better."""
    promising = [halves(f"GPU-{index:02}", first=3600, second=10) for index in range(LOOKS)]
    better = halves("GPU-better", first=3610, second=3600)
    decision = decided(3600, node("n1", *promising, better))
    assert decision.chosen.placement.choices[0].gpu == "GPU-00"
    assert decision.elsewhere is not None
    assert decision.elsewhere.standing.placement.choices[0].gpu == "GPU-better"
    assert decision.elsewhere.decided_by is Criterion.PROMISE
    assert decision.elsewhere.standing.worth > decision.chosen.worth
    looked_at = decided(3600, node("n1", *promising[1:], better))
    assert looked_at.chosen.placement.choices[0].gpu == "GPU-better"
    assert looked_at.elsewhere is not None
    assert looked_at.elsewhere.decided_by is Criterion.ENDS
