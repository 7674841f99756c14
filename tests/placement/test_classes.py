"""Asking a class of nodes says the same as asking each node, whatever Pods name and however many labels and values there are."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.classes import MOST_LABELS, MOST_VALUES, Classes
from allocator.placement.engine import Engine
from allocator.placement.fit import misfit
from allocator.placement.fleet import NodeView, Requirement, Taint, Toleration, Wish
from tests.placement.fleets import gpu, node, wish

LABELS = ("zone", "rack", "pool")
VALUES = ("a", "b")
ONE = wish("1g.10gb")


def fleet(count: int, **labels: str) -> list[NodeView]:
    """Nodes of one GPU; `{}` in a label's value is the node's number."""
    return [
        node(f"n{nth:03}", gpu(f"GPU-{nth}"), labels={key: value.format(nth) for key, value in labels.items()})
        for nth in range(count)
    ]


def engine(nodes: Iterable[NodeView]) -> Engine:
    made = Engine()
    made.sync(nodes)
    return made


def suiting(known: Engine, asked: Wish) -> set[str]:
    """The nodes on which the engine has a place for a Pod."""
    return {place.node for place, _ in known.ranked(asked)}


def fitting(nodes: Iterable[NodeView], asked: Wish) -> set[str]:
    """The same, each node asked."""
    return {view.name for view in nodes if misfit(asked, view) is None}


@st.composite
def nodes(draw: st.DrawFn) -> list[NodeView]:
    made = []
    for nth in range(draw(st.integers(1, 5))):
        labels = draw(st.dictionaries(st.sampled_from(LABELS), st.sampled_from(VALUES)))
        view = node(f"n{nth}", gpu(f"GPU-{nth}"), labels=labels)
        taints = draw(
            st.lists(st.sampled_from((Taint("t", "x", "NoSchedule"), Taint("u", "", "NoExecute"))), max_size=2)
        )
        facts = replace(
            view.facts, taints=tuple(taints), ready=draw(st.integers(0, 4)) > 0, cordoned=draw(st.booleans())
        )
        if draw(st.integers(0, 5)) == 0:
            facts = replace(facts, labels={})
        made.append(replace(view, facts=facts, trouble=draw(st.sampled_from(("", "", "away")))))
    return made


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    labels = st.builds(
        Requirement,
        st.sampled_from(LABELS),
        st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist")),
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=1).map(tuple),
    )
    names = st.builds(Requirement, st.just("metadata.name"), st.just("In"), st.just(("n1",)), st.just(True))
    terms = st.lists(st.lists(labels | names, max_size=2).map(tuple), max_size=2).map(tuple)
    cordon = Toleration("node.kubernetes.io/unschedulable", "Exists", "", "")
    return replace(
        ONE,
        node_selector=draw(st.dictionaries(st.sampled_from(LABELS), st.sampled_from(VALUES), max_size=2)),
        affinity=draw(st.none() | terms),
        tolerations=draw(st.sampled_from(((), (cordon,), (Toleration("", "Exists", "", ""),)))),
    )


@settings(max_examples=200)
@given(nodes(), st.lists(wishes(), min_size=1, max_size=5))
def test_a_class_says_what_its_nodes_say(views: list[NodeView], asked: list[Wish]) -> None:
    """Of every Pod, whichever labels the Pods before it have named."""
    known = engine(views)
    for pod in asked:
        assert suiting(known, pod) == fitting(views, pod)


@pytest.mark.parametrize("count", [3, MOST_VALUES, MOST_VALUES + 1])
def test_a_label_may_tell_all_nodes_apart(count: int) -> None:
    views = fleet(count, host="h{}")
    known = engine(views)
    for value in ("h0", "h2", "nowhere"):
        asked = replace(ONE, node_selector={"host": value})
        assert suiting(known, asked) == fitting(views, asked)


def test_a_label_that_comes_to_have_many_values_makes_no_class_of_each_node() -> None:
    """First known of few nodes, then of many; what it says stays true, and other labels stay what they were."""
    few, many = fleet(3, host="h{}", zone="a"), fleet(3 * MOST_VALUES, host="h{}", zone="a")
    known, classes = engine(few), Classes()
    pinned, zoned = replace(ONE, node_selector={"host": "h2"}), replace(ONE, node_selector={"zone": "a"})
    for pod in (pinned, zoned):
        assert suiting(known, pod) == fitting(few, pod)
        classes.learn(pod, few)
    known.sync(many)
    for pod in (pinned, zoned):
        assert suiting(known, pod) == fitting(many, pod)
    assert classes.decides(pinned)
    for view in many:
        classes.meet(classes.of(view), view)
    assert classes.learn(zoned, many)
    assert not classes.decides(pinned)
    assert classes.decides(zoned)
    assert len({classes.of(view) for view in many}) == 1


def test_labels_beyond_the_most_are_asked_of_each_node() -> None:
    names = [f"label-{nth}" for nth in range(MOST_LABELS + 4)]
    views = [
        node(f"n{nth}", gpu(f"GPU-{nth}"), labels={name: str(place % (nth + 1)) for place, name in enumerate(names)})
        for nth in range(3)
    ]
    known, classes = engine(views), Classes()
    for place, name in enumerate(names):
        asked = replace(ONE, node_selector={name: str(place % 3)})
        assert suiting(known, asked) == fitting(views, asked)
        classes.learn(asked, views)
        assert classes.decides(asked) == (place < MOST_LABELS)


def test_a_label_that_no_node_has_yet_takes_no_ones_place() -> None:
    """Pods may name what they like; once nodes have it, it counts."""
    classes, views = Classes(), fleet(2)
    for nth in range(2 * MOST_LABELS):
        assert not classes.learn(replace(ONE, node_selector={f"made-up-{nth}": "x"}), views)
    pod = replace(ONE, node_selector={"zone": "a"})
    known = engine(views)
    assert suiting(known, pod) == set()
    later = fleet(2, zone="a")
    known.sync(later)
    assert suiting(known, pod) == {"n000", "n001"}
    assert classes.learn(pod, later)
    assert classes.decides(pod)


def test_a_node_that_changes_is_of_another_class_at_once() -> None:
    views = fleet(2, zone="a")
    known = engine(views)
    asked = replace(ONE, node_selector={"zone": "a"})
    assert suiting(known, asked) == {"n000", "n001"}
    first, second = views
    known.sync([replace(first, facts=replace(first.facts, labels={**first.facts.labels, "zone": "b"})), second])
    assert suiting(known, asked) == {"n001"}
    known.sync([first, replace(second, facts=replace(second.facts, ready=False))])
    assert suiting(known, asked) == {"n000"}
