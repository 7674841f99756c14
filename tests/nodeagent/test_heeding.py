"""Which spec counts (N11)."""

from hypothesis import given
from hypothesis import strategies as st

from mig.migspec import MigSpec, Spec
from nodeagent.heeding import Verdict, verdict


def migspec(generation: int, epoch: int, uid: str = "uid-1") -> MigSpec:
    """A version of a node's MigSpec."""
    return MigSpec("node", uid, generation, str(generation), Spec(epoch))


def test_the_first_and_the_next_version_count() -> None:
    """Also the same one again, whose status alone changed."""
    assert verdict(None, migspec(1, 1)) is Verdict.HEED
    assert verdict(migspec(1, 1), migspec(1, 1)) is Verdict.HEED
    assert verdict(migspec(1, 1), migspec(2, 2)) is Verdict.HEED


def test_an_older_generation_or_epoch_does_not_count() -> None:
    """N11, and S5 where a lower epoch was forced past the API server's rule."""
    assert verdict(migspec(5, 3), migspec(4, 3)) is Verdict.LATE
    assert verdict(migspec(5, 3), migspec(6, 2)) is Verdict.DEPOSED


def test_an_object_made_anew_starts_over() -> None:
    """S10: generations and epochs compare within one uid alone."""
    assert verdict(migspec(5, 3), migspec(1, 1, uid="uid-2")) is Verdict.HEED


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), max_size=30))
def test_whatever_order_versions_come_in_the_heeded_ones_never_go_back(seen: list[tuple[int, int]]) -> None:
    """Generation and epoch of what is acted on never decrease."""
    known: MigSpec | None = None
    for generation, epoch in seen:
        version = migspec(generation, epoch)
        if verdict(known, version) is Verdict.HEED:
            assert known is None or generation >= known.generation
            assert known is None or epoch >= known.spec.leader_epoch
            known = version
