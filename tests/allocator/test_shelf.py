"""Watch events and the answers to our own writes, in any order, never take an object back."""

from allocator.shelf import PATIENCE_S, Seen, Shelf
from kube.watchstate import Key

KEY = Key("default", "a")


class Kept:
    """A shelf of texts with its clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.changes: list[tuple[str | None, str | None]] = []
        self.shelf: Shelf[str] = Shelf(lambda old, new: self.changes.append((old, new)), clock=lambda: self.now)

    def watched(self, version: str) -> None:
        """The watch shows it."""
        self.shelf.watched(KEY, Seen("uid", version, f"v{version}"))

    def answered(self, version: str) -> None:
        """It is the answer to a write."""
        self.shelf.answered(KEY, Seen("uid", version, f"v{version}"))

    @property
    def value(self) -> str | None:
        """What is kept now."""
        seen = self.shelf.items.get(KEY)
        return seen.value if seen else None


def test_an_answer_is_not_undone_by_the_older_versions_that_the_watch_still_shows() -> None:
    kept = Kept()
    kept.watched("1")
    with kept.shelf.writing(KEY):
        kept.answered("3")
    kept.watched("2")
    assert kept.value == "v3"
    kept.watched("3")
    kept.watched("4")
    assert kept.value == "v4"


def test_an_answer_that_the_watch_was_faster_than_changes_nothing() -> None:
    kept = Kept()
    kept.watched("1")
    with kept.shelf.writing(KEY):
        kept.watched("2")
        kept.watched("3")
        kept.answered("2")
        assert kept.value == "v3"
    kept.watched("4")
    assert kept.value == "v4"


def test_two_answers_in_a_row_wait_for_the_last_one() -> None:
    kept = Kept()
    with kept.shelf.writing(KEY):
        kept.answered("2")
        kept.answered("3")
    kept.watched("2")
    assert kept.value == "v3"
    kept.watched("3")
    kept.watched("5")
    assert kept.value == "v5"


def test_an_answer_that_changed_nothing_awaits_nothing() -> None:
    kept = Kept()
    kept.watched("1")
    with kept.shelf.writing(KEY):
        kept.answered("1")
    kept.watched("2")
    assert kept.value == "v2"


def test_an_object_that_went_during_the_write_stays_gone() -> None:
    kept = Kept()
    kept.watched("1")
    with kept.shelf.writing(KEY):
        kept.shelf.deleted(KEY)
        kept.answered("2")
    assert kept.value is None
    assert kept.changes == [(None, "v1"), ("v1", None)]


def test_a_deletion_counts_even_while_an_answer_is_awaited() -> None:
    kept = Kept()
    with kept.shelf.writing(KEY):
        kept.answered("2")
    kept.shelf.deleted(KEY)
    assert kept.value is None
    kept.watched("7")
    assert kept.value == "v7"


def test_what_a_list_shows_is_taken_when_it_skipped_the_awaited_version() -> None:
    kept = Kept()
    with kept.shelf.writing(KEY):
        kept.answered("2")
    kept.watched("5")
    assert kept.value == "v2"
    kept.shelf.listed()
    assert kept.value == "v5"
    assert kept.shelf.synced


def test_patience_with_the_watch_ends() -> None:
    kept = Kept()
    with kept.shelf.writing(KEY):
        kept.answered("2")
    kept.now = PATIENCE_S + 1
    kept.watched("9")
    assert kept.value == "v9"
