"""Single plans: what is done, what waits, and what it is said to wait for."""

from mig.placements import GpuShape
from nodeagent.gpus.plan import View, blocked_for_good, plan
from tests.support.instances import instance, placed
from tests.support.shapes import shapes

A100: GpuShape = shapes()["a100-80gb"]


def test_a_missing_slice_is_made_where_its_room_is_free() -> None:
    """Also beside foreign slices."""
    todo = plan(View(A100, (placed("1g.10gb@0+1"),), (instance("3g.40gb@4+4", gi=1),)))
    assert todo.create == (placed("1g.10gb@0+1"),)
    assert not todo.remove


def test_a_slice_whose_room_is_being_emptied_waits_and_says_so() -> None:
    """Destroy comes before create, and creation is not planned before the room is there."""
    todo = plan(View(A100, (placed("3g.40gb@4+4"),), (instance("1g.10gb@5+1", gi=4),), owned=frozenset({4})))
    assert [item.gi for item in todo.remove] == [4]
    assert not todo.create
    assert todo.waiting == {placed("3g.40gb@4+4"): "waits for the room of 1g.10gb at 5, which is being taken away"}


def test_a_slice_that_a_foreign_one_blocks_says_that_it_is_left_alone() -> None:
    """N3, N6: the foreign slice stays, and no waiting of ours helps."""
    view = View(A100, (placed("3g.40gb@4+4"),), (instance("1g.10gb@5+1", gi=4),))
    todo = plan(view)
    assert todo.empty
    assert "not ours and is left alone" in todo.waiting[placed("3g.40gb@4+4")]
    assert blocked_for_good(placed("3g.40gb@4+4"), view)


def test_a_used_slice_stays_although_the_spec_does_not_want_it() -> None:
    """Invariant 2: whatever the spec says."""
    todo = plan(View(A100, (), (instance("1g.10gb@5+1", gi=4),), owned=frozenset({4}), used=frozenset({4})))
    assert todo.empty


def test_a_half_made_slice_is_completed_if_wanted_and_removed_if_not() -> None:
    """N1: its maker was killed between GI and CI."""
    half = instance("2g.20gb@2+2", gi=3, uuid="")
    wanted = plan(View(A100, (placed("2g.20gb@2+2"),), (half,), owned=frozenset({3})))
    assert (wanted.complete, wanted.create, wanted.remove) == ((half,), (), ())
    unwanted = plan(View(A100, (), (half,), owned=frozenset({3})))
    assert (unwanted.complete, unwanted.remove) == ((), (half,))


def test_a_second_media_profile_waits_for_the_first() -> None:
    """Only one slice of a GPU can hold the media engines, wherever they lie."""
    first = instance("1g.10gb+me@6+1", gi=5)
    todo = plan(View(A100, (placed("1g.10gb+me@0+1"),), (first,), owned=frozenset({5})))
    assert not todo.create
    assert "1g.10gb+me at 6" in todo.waiting[placed("1g.10gb+me@0+1")]


def test_a_spec_that_cannot_exist_changes_nothing() -> None:
    """S5: overlapping slices, an unknown profile, a place that is not offered: no step at all, and why."""
    here = (instance("1g.10gb@6+1", gi=5),)
    for wanted, fault in (
        ("1g.10gb@0+1 2g.20gb@0+2", "does not fit beside"),
        ("9g.99gb@0+1", "offers no profile 9g.99gb"),
        ("3g.40gb@2+4", "cannot lie at 2"),
        ("3g.40gb@0+3", "its size 4"),
    ):
        todo = plan(View(A100, tuple(placed(text) for text in wanted.split()), here, owned=frozenset({5})))
        assert todo.empty
        assert fault in todo.fault
