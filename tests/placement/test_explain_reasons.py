"""Each reason for a choice, by a fleet in which nothing else can be it; and what was left out."""

from dataclasses import replace

from allocator.placement.engine import Engine
from allocator.placement.explain import Decision, Explanation, explain
from allocator.placement.fleet import NodeView, Reason, Resources, Wish
from allocator.placement.mix import Mix
from allocator.placement.policy import Fgd, Policy, Tiny
from allocator.placement.refusal import Refusal
from allocator.placement.standing import Criterion
from tests.placement.fleets import WHOLE, at, gpu, node, profile, wish


def explained(
    asked: Wish,
    *nodes: NodeView,
    policy: Policy | None = None,
    mix: Mix | None = None,
    shunned: frozenset[str] = frozenset(),
) -> Explanation:
    engine = Engine(policy or Tiny(), mix=mix)
    engine.sync(nodes)
    return explain(engine, asked, shunned=shunned)


def decided(asked: Wish, *nodes: NodeView, policy: Policy | None = None, mix: Mix | None = None) -> Decision:
    answer = explained(asked, *nodes, policy=policy, mix=mix).answer
    assert isinstance(answer, Decision), answer
    return answer


def elsewhere(decision: Decision) -> tuple[str, Criterion]:
    assert decision.elsewhere is not None
    (choice,) = decision.elsewhere.standing.placement.choices
    return choice.gpu, decision.elsewhere.decided_by


def test_the_value_of_what_is_left_decides_first() -> None:
    broken, empty = gpu("GPU-1", fixed=[at("1g.10gb", 6)]), gpu("GPU-2")
    decision = decided(wish("1g.10gb"), node("n1", broken, empty))
    assert decision.chosen.placement.choices[0].gpu == "GPU-1"
    assert elsewhere(decision) == ("GPU-2", Criterion.VALUE)
    assert decision.chosen.used == 1
    assert decision.chosen.width == 8


def test_a_warm_slice_that_is_not_the_best_place_is_taken_for_being_there() -> None:
    """And the best place is told, on the same GPU or on another one."""
    warm = gpu("GPU-1", warm=[at("1g.10gb", 4)])
    decision = decided(wish("1g.10gb"), node("n1", warm, gpu("GPU-2")))
    assert decision.chosen.placement.choices[0].reuse
    assert decision.chosen.margin == 0.5
    assert elsewhere(decision) == ("GPU-2", Criterion.REUSE)
    assert decision.beside is not None
    assert decision.beside.decided_by is Criterion.REUSE
    assert decision.beside.standing.placement.choices[0].placed == at("1g.10gb", 6)


def test_of_equal_values_the_fuller_gpu_is_taken() -> None:
    less, more = [at("1g.20gb", 6)], [at("1g.20gb", 6), at("1g.10gb", 5)]
    fleet = node("n1", gpu("GPU-1", fixed=less), gpu("GPU-2", fixed=more))
    decision = decided(wish("3g.40gb"), fleet, policy=Fgd())
    assert elsewhere(decision) == ("GPU-1", Criterion.FULLER)
    assert decision.elsewhere is not None
    assert (decision.chosen.used, decision.elsewhere.standing.used) == (3, 2)
    assert decision.chosen.worth == decision.elsewhere.standing.worth


def test_of_equal_gpus_the_one_that_loses_less_of_what_is_asked_for_is_taken() -> None:
    asked_for = Mix(((profile("2g.20gb"), 900.0), (profile("1g.10gb"), 100.0)))
    much = gpu("GPU-1", warm=[at("2g.20gb", 0)])
    little = gpu("GPU-2", warm=[at("1g.10gb", 0)])
    decision = decided(wish("7g.80gb"), node("n1", much, little), mix=asked_for)
    assert decision.chosen.placement.choices[0].drops == (at("1g.10gb", 0),)
    assert elsewhere(decision) == ("GPU-1", Criterion.WARM)
    assert decision.elsewhere is not None
    assert decision.elsewhere.standing.cost > decision.chosen.cost > 0


def test_of_equal_places_the_node_with_more_room_is_taken() -> None:
    tight = node("n1", gpu("GPU-1"), free=replace(WHOLE, milli_cpu=4000))
    decision = decided(wish("3g.40gb"), tight, node("n2", gpu("GPU-2")))
    assert elsewhere(decision) == ("GPU-1", Criterion.ROOM)
    assert decision.elsewhere is not None
    assert (decision.chosen.room, decision.elsewhere.standing.room) == (1.0, 0.5)


def test_of_equal_nodes_the_order_of_names_decides() -> None:
    decision = decided(wish("3g.40gb"), node("n2", gpu("GPU-2")), node("n1", gpu("GPU-1")))
    assert elsewhere(decision) == ("GPU-2", Criterion.NAMES)


def test_where_there_is_one_gpu_and_one_start_there_is_no_runner_up() -> None:
    decision = decided(wish("7g.80gb"), node("n1", gpu("GPU-1")))
    assert decision.elsewhere is None
    assert decision.beside is None


def test_nodes_that_cannot_take_the_pod_are_counted_by_what_they_lack() -> None:
    asked = replace(wish("1g.10gb"), requests=Resources(milli_cpu=5000, pods=1), node_selector={"rack": "1"})
    small = replace(WHOLE, milli_cpu=4000)
    survey = explained(
        asked,
        node("n1", gpu("GPU-1"), labels={"rack": "1"}),
        node("n2", gpu("GPU-2"), labels={"rack": "1"}, free=small),
        node("n3", gpu("GPU-3"), labels={"rack": "1"}, free=small),
        node("n4", gpu("GPU-4")),
        node("n5", gpu("GPU-5"), labels={"rack": "1"}),
        shunned=frozenset({"n5"}),
    ).survey
    assert survey.left_out == {
        "lately refused by the scheduler": 1,
        "not matching the nodeSelector": 1,
        "with insufficient cpu": 2,
    }
    assert (survey.nodes, survey.fitting, survey.places) == (5, 1, 7)


def test_gpus_in_trouble_are_counted_and_hold_no_place() -> None:
    survey = explained(wish("7g.80gb"), node("n1", gpu("GPU-1"), replace(gpu("GPU-2"), trouble="Xid 79"))).survey
    assert (survey.ill, survey.places) == (1, 1)


def test_a_refusal_is_the_engines_own_and_says_how_the_nodes_stand() -> None:
    explanation = explained(wish("7g.80gb"), node("n1", gpu("GPU-1", fixed=[at("1g.10gb", 0)])))
    assert isinstance(explanation.answer, Refusal)
    assert explanation.answer.reason is Reason.FULL
    assert (explanation.survey.fitting, explanation.survey.places) == (1, 0)


def test_without_any_node_that_is_said() -> None:
    explanation = explained(wish("7g.80gb"))
    assert isinstance(explanation.answer, Refusal)
    assert explanation.answer.reason is Reason.NO_SUCH_PROFILE
    assert (explanation.survey.nodes, explanation.survey.places) == (0, 0)
