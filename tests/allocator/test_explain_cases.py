"""What is said of a Pod is what the allocator does with it, in each situation that a Pod can be in."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.explaining.case import Case, State, case_of
from allocator.explaining.words import as_json, as_text
from allocator.index import Index, key_of, read_node, read_spec
from allocator.placement.durations import Scale
from allocator.placement.engine import Engine
from allocator.placement.explain import Decision
from allocator.placement.mix import Mix
from allocator.placement.placement import Placement
from allocator.placement.refusal import Refusal
from mig.names import GATE
from tests.allocator.leader import POLICY
from tests.allocator.storeapi import MIGSPECS, NODES, PODS
from tests.allocator.world import World, world

HANDED_OVER = {"nos.nebuly.com/gpu-partitioning": "mig"}


def case(w: World, name: str) -> Case:
    """As the cluster is now, seen for the first time; every case can be told in words and in JSON."""
    index = Index()
    for obj in w.store.collection(MIGSPECS).values():
        index.specs.watched(key_of(obj), read_spec(obj))
    for obj in w.store.collection(PODS).values():
        index.pods.watched(key_of(obj), index.read_pod(obj))
    for obj in w.store.collection(NODES).values():
        index.nodes.watched(key_of(obj), read_node(obj))
    engine = Engine(POLICY)
    engine.follow(Mix(), Scale(), now=w.leader.now)
    made = case_of(index.view(w.leader.epoch), str(w.pod(name)["metadata"]["uid"]), engine=engine)
    assert list(as_text(made))
    assert json.loads(json.dumps(as_json(made)))["state"] == str(made.state)
    return made


def text(made: Case) -> list[str]:
    return list(as_text(made))


def place_of(placement: Placement) -> list[tuple[str, str, object]]:
    return sorted((placement.node, choice.gpu, choice.placed) for choice in placement.choices)


def claimed(w: World, name: str) -> list[tuple[str, str, object]]:
    uid = w.pod(name)["metadata"]["uid"]
    return sorted((node, gpu, placed) for node, gpu, placed, _ in w.claims(uid))


def foretold(made: Case) -> list[tuple[str, str, object]]:
    """Where the case says that the Pod goes."""
    if made.planned is not None:
        return place_of(made.planned)
    assert made.explanation is not None
    answer = made.explanation.answer
    return [] if isinstance(answer, Refusal) else place_of(answer.chosen.placement)


def test_a_waiting_pod_goes_where_it_was_said_and_knows_who_is_before_it() -> None:
    with world(nodes=2, gpus=2) as w:
        w.add_pod("old", "3g.40gb")
        w.run()
        w.add_pod("a", "1g.10gb")
        w.add_pod("b", "2g.20gb", "3g.40gb")
        cases = {name: case(w, name) for name in ("a", "b")}
        assert [(made.state, made.before) for made in cases.values()] == [(State.WAITING, 0), (State.WAITING, 1)]
        assert text(cases["a"])[0] == "default/a waits for 1g.10gb; if it is decided now:"
        assert text(cases["b"])[0] == "default/b waits for 2g.20gb, 3g.40gb, behind 1 Pod; if it is decided now:"
        w.round()
        assert {name: claimed(w, name) for name in cases} == {name: foretold(made) for name, made in cases.items()}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb")), max_size=3),
    st.lists(
        st.tuples(st.sampled_from(("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")), st.integers(0, 1)),
        min_size=1,
        max_size=5,
    ),
)
def test_of_all_who_wait_each_is_told_the_truth(running: list[str], waiting: list[tuple[str, int]]) -> None:
    """Whatever their priorities, and also where all are planned once more."""
    with world(nodes=1, gpus=2) as w:
        for index, profile in enumerate(running):
            w.add_pod(f"r{index}", profile)
            w.run(3)
        names = []
        for index, (profile, priority) in enumerate(waiting):
            names.append(f"w{index}")
            w.add_pod(names[-1], profile, priority=priority)
        cases = {name: case(w, name) for name in names}
        w.round()
        assert {name: claimed(w, name) for name in names} == {name: foretold(made) for name, made in cases.items()}


def test_a_refused_pod_has_the_reason_that_the_allocator_gives() -> None:
    with world() as w:
        w.add_pod("a", "7g.80gb")
        w.add_pod("b", "1g.10gb")
        w.run(6, seconds=1.0)
        made = case(w, "b")
        assert made.explanation is not None
        assert isinstance(made.explanation.answer, Refusal)
        told = w.condition("b")
        assert (made.explanation.answer.reason, made.explanation.answer.message) == (told["reason"], told["message"])
        assert text(made)[1] == f"refused: {told['reason']}: {told['message']}"
        assert f"last told: {told['reason']}: {told['message']}" in text(made)


def test_a_pod_that_is_saved_by_planning_all_once_more_is_told_so() -> None:
    """The 2g that came first lies elsewhere once a second 4g waits."""
    with world(gpus=2) as w:
        uid = w.add_pod("old", "2g.20gb")
        w.run()
        assert [placed.window.start for _, _, placed, _ in w.claims(uid)] == [4]
        for name, profile in (("a", "2g.20gb"), ("b", "4g.40gb"), ("c", "4g.40gb")):
            w.add_pod(name, profile)
        first, last = case(w, "a"), case(w, "c")
        words = "planned together with all who wait, so that more of them find a place, it goes to "
        assert first.explanation is not None
        assert isinstance(first.explanation.answer, Decision), "it has another place in its turn"
        assert any(line.startswith(f"{words}2g.20gb at ") for line in text(first))
        assert last.explanation is not None
        assert isinstance(last.explanation.answer, Refusal), "it has none in its turn"
        assert any(line.startswith(f"{words}4g.40gb at 0 on ") for line in text(last))


def test_a_running_pod_is_told_how_its_place_compares() -> None:
    with world(nodes=2) as w:
        w.add_pod("a", "3g.40gb")
        w.run()
        made = case(w, "a")
        assert made.state is State.RUNNING
        assert made.seat is not None
        assert made.seat.rank == 1
        assert isinstance(made.explanation and made.explanation.answer, Decision)
        assert text(made)[:4] == [
            "default/a has 3g.40gb at 4 on GPU-1-0 of n1",
            "  the best place there is without it",
            "were it placed now:",
            "goes to 3g.40gb at 4 on GPU-1-0 of n1",
        ]


def test_a_place_that_is_no_longer_the_best_is_told_by_its_number_and_the_best_is_named() -> None:
    """Beside it a whole GPU's worth has ended; a 4g elsewhere has come."""
    with world(nodes=2) as w:
        w.add_pod("a", "1g.10gb")
        w.add_pod("b", "7g.80gb")
        w.run()
        w.delete_pod("b")
        w.add_pod("c", "4g.40gb", "1g.10gb", nodeSelector={"name": "n2"})
        w.patch(NODES, "n2", metadata={"labels": {**HANDED_OVER, "name": "n2"}})
        w.run()
        made = case(w, "a")
        assert claimed(w, "a")[0][0] == "n1"
        assert made.seat is not None
        assert made.seat.rank is not None
        assert made.seat.rank > 1
        assert text(made)[1].startswith(
            f"  number {made.seat.rank} of the places there are without it; its value gains "
        )
        assert foretold(made)[0][0] == "n2"


def test_a_pod_whose_node_would_not_take_it_now_is_told_so() -> None:
    with world(nodes=2) as w:
        w.add_pod("a", "3g.40gb")
        w.run()
        w.patch(NODES, "n1", spec={"unschedulable": True})
        made = case(w, "a")
        assert made.seat is not None
        assert (made.seat.rank, made.seat.misfit) == (None, "cordoned")
        assert text(made)[1] == "  it could not be placed there now: a node cordoned"
        assert "goes to 3g.40gb at 4 on GPU-2-0 of n2" in text(made)


def test_a_pod_that_has_its_slices_reserved_is_told_so() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb", "1g.10gb")
        w.round()
        made = case(w, "a")
        assert (made.state, len(made.spots), made.seat) == (State.RESERVED, 2, None)
        assert text(made)[0].endswith(", reserved")


def test_a_pod_under_somebody_elses_gate_is_told_of_it_and_what_would_be() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb", gates=(GATE, "kueue.x-k8s.io/admission"))
        made = case(w, "a")
        assert made.state is State.GATED
        assert text(made)[0] == (
            "default/a wants 1g.10gb, and waits for kueue.x-k8s.io/admission to be removed; were it gone now:"
        )
        assert text(made)[1].startswith("goes to 1g.10gb at ")


def test_a_pod_that_lost_a_slice_gives_up_the_rest_and_is_told_what_it_gets_instead() -> None:
    with world(nodes=2) as w:
        uid = w.add_pod("a", "1g.10gb", "2g.20gb")
        w.round()
        (node, gpu, _, _), _ = w.claims(uid)
        spec = w.store.get(MIGSPECS, "", node)
        del next(item for item in spec["spec"]["gpus"] if item["uuid"] == gpu)["slices"][0]["claim"]
        w.store.update(MIGSPECS, "", node, spec)
        made = case(w, "a")
        assert (made.state, len(made.spots)) == (State.LOST, 1)
        assert text(made)[0].startswith("default/a has lost slices and gives up the others (")


def test_a_pod_that_is_being_deleted_gets_no_slice() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb")
        w.patch(PODS, "a", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
        assert text(case(w, "a")) == ["default/a is being deleted; it gets no slice"]


def test_a_pod_whose_request_cannot_be_read_is_told_what_is_wrong() -> None:
    """A12."""
    with world() as w:
        pod: dict[str, Any] = {"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/mig-huge": "1"}}}]}
        w.add_pod("a")
        w.patch(PODS, "a", spec=pod)
        made = case(w, "a")
        assert made.state is State.UNREADABLE
        assert "mig-huge" in text(made)[0] or "huge" in text(made)[0]


def test_a_bound_pod_that_the_books_do_not_know_is_told_so() -> None:
    with world() as w:
        w.add_pod("a", "1g.10gb", gates=(), node="n1")
        made = case(w, "a")
        assert made.state is State.UNCLAIMED
        assert text(made) == ["default/a is bound to n1; of 1g.10gb it has none by the allocator's books"]
