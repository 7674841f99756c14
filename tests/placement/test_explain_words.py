"""An explanation reads the same each time, names everything that counted, and in JSON holds what it says in words."""

import json
from dataclasses import replace

from allocator.placement.engine import Engine
from allocator.placement.explain import Decision, Explanation, Rival, explain
from allocator.placement.fleet import NodeView, Resources, Wish
from allocator.placement.mix import Mix
from allocator.placement.policy import Tiny
from allocator.placement.standing import Criterion
from allocator.placement.wording import as_fields, as_json, as_text, because, wanted
from tests.placement.fleets import WHOLE, at, gpu, node, profile, wish

DEMAND = Mix(((profile("2g.20gb"), 900.0), (profile("1g.10gb"), 100.0)))


def explained(asked: Wish, *nodes: NodeView) -> Explanation:
    engine = Engine(Tiny(), mix=DEMAND)
    engine.sync(nodes)
    return explain(engine, asked)


def decided(asked: Wish, *nodes: NodeView) -> Decision:
    answer = explained(asked, *nodes).answer
    assert isinstance(answer, Decision)
    return answer


HALF = replace(WHOLE, milli_cpu=4000)


def mixed() -> Explanation:
    """One decision with something of everything."""
    asked = replace(wish("3g.40gb"), requests=Resources(milli_cpu=1000))
    return explained(
        asked,
        node("n1", gpu("GPU-1", fixed=[at("4g.40gb", 0)], warm=[at("1g.10gb", 6)]), free=HALF),
        node("n2", gpu("GPU-2"), replace(gpu("GPU-3"), trouble="Xid 79")),
        node("n3", gpu("GPU-4"), free=replace(WHOLE, milli_cpu=0)),
    )


def test_a_decision_in_words() -> None:
    assert list(as_text(mixed())) == [
        "goes to 3g.40gb at 4 on GPU-1 of n1",
        "  3g.40gb at 4 is to be made; takes away the warm 1g.10gb at 6",
        "  value gains +0.103",
        "  4 of 8 memory slices of the GPU in use",
        "  what it takes away serves 10.1% of demand",
        "  50% of the node's CPU or memory left, whichever is scarcer",
        "runner-up on another GPU: 3g.40gb at 4 on GPU-2 of n2",
        "  its value gains 0.120 less",
        "2 of 3 nodes can take the Pod, with 3 places for its slice",
        "  left out: 1 node with insufficient cpu",
        "  left out: 1 GPU in trouble",
    ]


def test_a_reused_slice_in_words() -> None:
    explanation = explained(wish("1g.10gb"), node("n1", gpu("GPU-1", warm=[at("1g.10gb", 4)])))
    assert list(as_text(explanation)) == [
        "goes to 1g.10gb at 4 on GPU-1 of n1",
        "  1g.10gb at 4 is there, warm",
        "  value gains +0.489, of which +0.500 for reuse",
        "  0 of 8 memory slices of the GPU in use",
        "  100% of the node's CPU or memory left, whichever is scarcer",
        "runner-up on the same GPU: 1g.10gb at 6 on GPU-1 of n1",
        "  its value gains 0.455 less, and would not if no warm slice were reused",
        "no other GPU has a place",
        "1 of 1 node can take the Pod, with 7 places for its slice",
    ]


def test_several_slices_in_words() -> None:
    nodes = [node(f"n{number}", gpu(f"GPU-{number}"), gpu(f"GPU-{number}b")) for number in (1, 2)]
    assert list(as_text(explained(wish("4g.40gb", "4g.40gb", "1g.10gb"), *nodes))) == [
        "goes to 4g.40gb at 0 on GPU-1; 4g.40gb at 0, 1g.10gb at 6 on GPU-1b of n1",
        "  4g.40gb at 0 is to be made",
        "  4g.40gb at 0 is to be made",
        "  1g.10gb at 6 is to be made",
        "  value gains -0.003",
        "  4 memory slices in use on its GPUs, added up before each slice",
        "  100% of the node's CPU or memory left, whichever is scarcer",
        "runner-up on another node: 4g.40gb at 0 on GPU-2; 4g.40gb at 0, 1g.10gb at 6 on GPU-2b of n2",
        "  as good in all that counts; the order of names decides",
        "2 of 2 nodes can take the Pod, 2 of them have room for its slices",
    ]


def test_a_refusal_in_words() -> None:
    explanation = explained(wish("7g.80gb"), node("n1", gpu("GPU-1", fixed=[at("1g.10gb", 6)])))
    assert not isinstance(explanation.answer, Decision)
    assert list(as_text(explanation)) == [
        f"refused: Full: {explanation.answer.message}",
        "1 of 1 node can take the Pod, with 0 places for its slice",
    ]


def test_ends_are_told_where_a_lifetime_is_declared() -> None:
    lines = list(as_text(explained(replace(wish("7g.80gb"), lasts=60), node("n1", gpu("GPU-1")))))
    assert any("by when the neighbours end" in line for line in lines)


def test_json_holds_what_the_words_say_and_is_json() -> None:
    explanation = mixed()
    document = json.loads(json.dumps(as_json(explanation)))
    assert isinstance(explanation.answer, Decision)
    chosen = explanation.answer.chosen
    assert document["chosen"] == {
        "node": "n1",
        "slices": [
            {
                "containers": ["c0"],
                "gpu": "GPU-1",
                "profile": "3g.40gb",
                "start": 4,
                "reuse": False,
                "drops": [{"profile": "1g.10gb", "start": 6}],
            }
        ],
        "worth": chosen.worth,
        "margin": 0.0,
        "ends": None,
        "used": 4,
        "width": 8,
        "cost": chosen.cost,
        "room": 0.5,
    }
    assert document["elsewhere"]["node"] == "n2"
    assert document["elsewhere"]["decidedBy"] == "value"
    assert document["beside"] is None
    assert document["chosenFrom"] == {
        "nodes": 3,
        "fitting": 2,
        "leftOut": {"with insufficient cpu": 1},
        "gpusInTrouble": 1,
        "places": 3,
    }


def test_a_refusal_in_json() -> None:
    document = as_json(explained(wish("7g.80gb"), node("n1", gpu("GPU-1", fixed=[at("1g.10gb", 6)]))))
    assert document["refusal"]["reason"] == "Full"
    assert document["chosenFrom"]["places"] == 0


def test_a_log_line_has_the_place_the_runner_up_and_what_decided() -> None:
    decision = mixed().answer
    assert isinstance(decision, Decision)
    assert as_fields(decision) == {
        "place": "3g.40gb at 4 on GPU-1 of n1",
        "worth": 0.103,
        "elsewhere": "3g.40gb at 4 on GPU-2 of n2",
        "elsewhere_because": "its value gains 0.120 less",
    }


def test_every_reason_has_its_own_words() -> None:
    chosen = decided(wish("7g.80gb"), node("n1", gpu("GPU-1"))).chosen
    words = {because(chosen, Rival(chosen, each)) for each in Criterion}
    assert len(words) == len(Criterion)


def test_what_is_wanted_is_told_by_profile() -> None:
    assert wanted(wish("3g.40gb", "1g.10gb", "1g.10gb")) == "2 x 1g.10gb, 3g.40gb"
