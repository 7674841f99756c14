"""Beside NVIDIA's plugin a resource counts as a whole or not at all, since the kubelet chooses among its ids as it likes."""

from dataclasses import replace

from mig.migspec import Holder
from mig.profiles import parse_profile
from nodeagent.nvidia.book import Book
from nodeagent.nvidia.entries import Entry
from nodeagent.use.usage import Source, Use

SMALL, BIG = parse_profile("1g.10gb"), parse_profile("3g.40gb")
HELD = Use(Source.ASSIGNED, 0.0, Holder("default", "train", "uid-1", "main"))
COMPUTING = Use(Source.PROCESS, 0.0, pids=(7,))


def small(*device_ids: str) -> frozenset[Entry]:
    return frozenset(Entry(SMALL.resource, each) for each in device_ids)


def big(*device_ids: str) -> frozenset[Entry]:
    return frozenset(Entry(BIG.resource, each) for each in device_ids)


BOOK = Book(
    offered={"a": SMALL, "b": SMALL, "c": BIG},
    listed={SMALL.resource: frozenset("ab"), BIG.resource: frozenset("c")},
    present=small("a", "b") | big("c"),
)


def counted(book: Book) -> dict[str, int]:
    return dict(book.counts({SMALL.resource, BIG.resource}).allocatable)


def test_what_is_listed_and_there_counts_and_is_ready() -> None:
    """Nothing is missing, nothing is gone."""
    assert counted(BOOK) == {SMALL.resource: 2, BIG.resource: 1}
    assert BOOK.ready == set("abc")
    assert not BOOK.missing
    assert not BOOK.gone


def test_a_slice_that_the_kubelet_does_not_know_is_missing_and_not_ready() -> None:
    """The others of its resource are ready all the same: the kubelet can choose nothing wrong."""
    book = replace(BOOK, listed={SMALL.resource: frozenset("a")})
    assert book.missing == small("b") | big("c")
    assert book.ready == {"a"}
    assert counted(book) == {SMALL.resource: 1, BIG.resource: 0}


def test_one_slice_on_its_way_out_closes_its_resource() -> None:
    """Or else the kubelet could give it to the Pod that is meant for the other one. What Pods hold counts on."""
    book = replace(BOOK, leaving={"a"}, uses={"b": HELD})
    assert counted(book) == {SMALL.resource: 1, BIG.resource: 1}
    assert book.ready == {"c"}
    assert not book.missing


def test_a_slice_that_is_gone_closes_its_resource_until_the_plugin_has_enumerated() -> None:
    """Foreign ones, too, once an admin destroys them."""
    book = replace(BOOK, present=small("a") | big("c"))
    assert book.gone == small("b")
    assert counted(book) == {SMALL.resource: 0, BIG.resource: 1}
    assert replace(book, present=None).gone == frozenset(), "unknown is not gone"


def test_a_slice_on_which_somebody_still_computes_closes_its_resource() -> None:
    """Its Pod was force-deleted, and the kubelet regards it as free."""
    book = replace(BOOK, uses={"a": COMPUTING})
    assert counted(book)[SMALL.resource] == 0
    assert book.ready == {"c"}


def test_a_slice_on_its_way_out_that_a_pod_holds_closes_nothing() -> None:
    """The kubelet gives it to nobody else."""
    book = replace(BOOK, leaving={"a"}, uses={"a": HELD})
    assert counted(book)[SMALL.resource] == 2
    assert book.ready == set("bc")


def test_foreign_slices_that_the_plugin_lists_count() -> None:
    """A Pod can be given one, so the number is true only with them; they are not ours to call ready."""
    book = replace(
        BOOK, listed={**BOOK.listed, SMALL.resource: frozenset("abf")}, present=small("a", "b", "f") | big("c")
    )
    assert counted(book)[SMALL.resource] == 3
    assert "f" not in book.ready


def test_a_closed_book_counts_what_pods_hold() -> None:
    """So no Pod is bound while the plugin starts."""
    book = replace(BOOK, closed=True, uses={"a": HELD, "b": COMPUTING})
    assert counted(book) == {SMALL.resource: 1, BIG.resource: 0}
    assert not book.ready


def test_a_capacity_of_nothing_is_left_to_the_kubelet() -> None:
    """It clears its own when the plugin has been away for long."""
    book = replace(BOOK, listed={SMALL.resource: frozenset("a"), BIG.resource: frozenset()})
    assert book.counts({BIG.resource}).capacity == {SMALL.resource: 1}


def test_a_slice_that_was_remade_with_another_profile_closes_the_resource_that_it_is_still_listed_under() -> None:
    """Its UUID can be the one before. Who asks for the old profile must not be given the new slice, and the new one is missing."""
    book = replace(BOOK, offered={"a": SMALL, "b": BIG, "c": BIG}, present=small("a") | big("b", "c"))
    assert (book.missing, book.gone) == (big("b"), small("b"))
    assert counted(book) == {SMALL.resource: 0, BIG.resource: 1}
    assert book.ready == {"c"}
    assert replace(book, present=None).gone == small("b"), "what is offered is known to be there"
    assert replace(book, offered={"a": SMALL, "c": BIG}).gone == small("b"), "also one that is not ours"


def test_a_pod_that_has_the_remade_slice_does_not_count_for_the_old_resource() -> None:
    """It got it under the new one, and the kubelet believes that the old entry is free."""
    book = replace(BOOK, offered={"a": SMALL, "b": BIG, "c": BIG}, present=small("a") | big("b", "c"), uses={"b": HELD})
    assert counted(book)[SMALL.resource] == 0
    both = replace(book, listed={SMALL.resource: frozenset("ab"), BIG.resource: frozenset("bc")})
    assert counted(both) == {SMALL.resource: 0, BIG.resource: 2}
