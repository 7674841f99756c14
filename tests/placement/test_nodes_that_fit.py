"""Placement goes only to nodes that fit and finds one wherever there is one, whatever it was asked and told before."""

from collections.abc import Sequence
from itertools import product
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.placement.engine import Engine
from allocator.placement.fit import misfit
from allocator.placement.fleet import (
    GpuView,
    HostPort,
    NodeFacts,
    NodeView,
    Requirement,
    Resources,
    Taint,
    Toleration,
    Wish,
)
from allocator.placement.placement import Placement
from mig.demand import Need
from mig.occupancy import Placed, legal_starts
from mig.placements import Window
from mig.profiles import parse_profile
from tests.support.shapes import shapes

A100 = shapes()["a100-80gb"]
OURS = {"nos.nebuly.com/gpu-partitioning": "mig"}
CORDON = "node.kubernetes.io/unschedulable"
FPGA = "example.com/fpga"
NAMES = ("n1", "n2", "n3", "n4")

T = TypeVar("T")


def mostly(usual: T, *others: T) -> st.SearchStrategy[T]:
    """One thing or another, the usual one so often that in a fleet of four there are nodes with nothing odd about them."""
    return st.sampled_from([usual] * 6 * len(others) + list(others))


def at(profile: str, start: int) -> Placed:
    offer = A100.by_profile[parse_profile(profile)]
    return Placed(Window(start, offer.size), offer.profile)


PORT = st.builds(HostPort, st.just(80), st.sampled_from(["TCP", "UDP"]), st.sampled_from(["", "10.0.0.1", "::"]))
TAINT = st.builds(
    Taint,
    st.just("gpu"),
    st.sampled_from(["", "yes"]),
    st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"]),
)
FIXED = [(), (at("4g.40gb", 0),), (at("1g.10gb", 6), at("1g.10gb", 0)), (at("7g.80gb", 0),)]


@st.composite
def nodes(draw: st.DrawFn, name: str) -> NodeView:
    """A node with one GPU, sound but for what is odd about it."""
    labels = {
        "nos.nebuly.com/gpu-partitioning": draw(mostly("mig", "off")),
        "host": name,
        "zone": draw(st.sampled_from("ab")),
        **draw(st.dictionaries(st.just("gen"), st.sampled_from(["1", "2", "07", "x"]))),
    }
    facts = NodeFacts(
        name=name,
        uid=name,
        labels=labels,
        taints=draw(mostly((), (draw(TAINT),))),
        ready=draw(st.integers(0, 9)) > 0,
        cordoned=draw(st.integers(0, 5)) == 0,
        allocatable=Resources(2000, 2**30, 5),
    )
    free = Resources(draw(mostly(2000, 500, -1)), 2**30, draw(mostly(5, 0)), {FPGA: draw(st.integers(0, 1))})
    gpu = GpuView("GPU-0", "A100", A100, fixed=draw(st.sampled_from(FIXED)), trouble=draw(mostly("", "is ill")))
    ports = draw(mostly((), (draw(PORT),)))
    return NodeView(facts, free, draw(mostly((gpu,), ())), ports, draw(mostly("", "whose agent is ending")))


LABEL_ITEM = st.builds(
    Requirement,
    st.sampled_from(["zone", "gen", "host"]),
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
    st.sampled_from([("a",), ("b", "n1"), ("1",), ("n2",)]),
)
FIELD_ITEM = st.builds(
    Requirement,
    st.just("metadata.name"),
    st.sampled_from(["In", "NotIn"]),
    st.sampled_from([("n1",), ("n3",)]),
    st.just(True),
)
TERMS = st.lists(st.lists(LABEL_ITEM | FIELD_ITEM, max_size=2).map(tuple), max_size=2).map(tuple)
TOLERATIONS = st.lists(
    st.builds(
        Toleration,
        st.sampled_from(["gpu", CORDON, ""]),
        st.sampled_from(["Exists", "Equal"]),
        st.sampled_from(["", "yes"]),
        st.sampled_from(["", "NoSchedule"]),
    ),
    max_size=2,
).map(tuple)


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    """A Pod of one slice with a demand or two."""
    return Wish(
        uid="u",
        namespace="ns",
        name="p",
        needs=(Need(parse_profile(draw(st.sampled_from(["1g.10gb", "3g.40gb", "7g.80gb"]))), ("c",)),),
        requests=draw(mostly(Resources(pods=1), Resources(1000, 0, 1), Resources(0, 0, 1, {FPGA: 1}))),
        node_selector=draw(mostly({}, {"zone": "a"}, {"host": "n2"}, {"gen": "1", "zone": "b"})),
        affinity=draw(mostly(None, draw(TERMS))),
        tolerations=draw(TOLERATIONS),
        host_ports=draw(mostly((), (draw(PORT),))),
        lasts=draw(st.sampled_from([None, 60.0])),
    )


STEPS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2), min_size=1),
        wishes(),
        st.frozensets(st.sampled_from(NAMES), max_size=1),
    ),
    min_size=1,
    max_size=6,
)


def has_place(wish: Wish, node: NodeView, shunned: frozenset[str]) -> bool:
    """Whether the Pod can go there, by looking at everything."""
    (need,) = wish.needs
    offer = A100.by_profile[need.profile]
    return (
        node.name not in shunned
        and misfit(wish, node) is None
        and any(not gpu.trouble and legal_starts(offer, gpu.fixed) for gpu in node.gpus)
    )


@settings(deadline=None, max_examples=60)
@given(forms=st.fixed_dictionaries({name: st.tuples(*(nodes(name) for _ in range(3))) for name in NAMES}), steps=STEPS)
def test_a_pod_is_placed_on_a_fitting_node_exactly_where_there_is_one(
    forms: dict[str, Sequence[NodeView]],
    steps: list[tuple[dict[str, int], Wish, frozenset[str]]],
) -> None:
    """Nodes change, come and go between the questions; one engine follows, another is made for each question."""
    follower = Engine()
    for present, wish, shunned in steps:
        fleet = [forms[name][form] for name, form in present.items()]
        fresh = Engine()
        for engine in (follower, fresh):
            engine.sync(fleet)
        answer = follower.place(wish, shunned=shunned)
        fitting = {node.name for node in fleet if has_place(wish, node, shunned)}
        if isinstance(answer, Placement):
            assert answer.node in fitting
        else:
            assert not fitting, answer.message
        assert answer == fresh.place(wish, shunned=shunned)


def test_a_pod_that_names_its_node_gets_that_one_among_many_equal_ones() -> None:
    """By the node's name, as a DaemonSet's Pods do, or by a label that every node has for itself alone."""
    facts = [
        NodeFacts(f"n{number}", f"u{number}", {**OURS, "host": f"n{number}"}, (), True, False, Resources(1, 1, 5))
        for number in range(200)
    ]
    engine = Engine()
    engine.sync([NodeView(it, it.allocatable, (GpuView(f"GPU-{it.name}", "A100", A100),)) for it in facts])
    for number, by_field in product((0, 77, 199), (True, False)):
        name = f"n{number}"
        term = (Requirement("metadata.name" if by_field else "host", "In", (name,), by_field),)
        wish = Wish("u", "ns", "p", (Need(parse_profile("1g.10gb"), ("c",)),), affinity=(term,))
        answer = engine.place(wish)
        assert isinstance(answer, Placement)
        assert answer.node == name
