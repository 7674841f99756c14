"""The pure half of the counts: what is read from a Node, and the smallest patch that makes it true."""

import pytest

from nodeagent.kubelet.counts import Counts, counts_of, difference, version_of

SMALL, LARGE = "nvidia.com/mig-1g.10gb", "nvidia.com/mig-3g.40gb"


def test_only_our_resources_are_read() -> None:
    """CPU and whole GPUs are none of our business."""
    node = {"status": {"capacity": {"cpu": "4", "nvidia.com/gpu": "1", SMALL: "2"}, "allocatable": {SMALL: "1"}}}
    assert counts_of(node) == Counts(capacity={SMALL: 2}, allocatable={SMALL: 1})


@pytest.mark.parametrize(
    "status", [None, {}, {"capacity": None}, {"allocatable": ["odd"]}, {"allocatable": {SMALL: "1k"}}]
)
def test_a_node_without_readable_counts_shows_none(status: object) -> None:
    """A12: then they are written anew."""
    assert counts_of({"status": status}) == Counts()


def test_the_patch_holds_what_differs_and_nothing_else() -> None:
    """As strings, which is how quantities are written."""
    wanted = Counts(capacity={SMALL: 2, LARGE: 1}, allocatable={SMALL: 2, LARGE: 0})
    shown = Counts(capacity={SMALL: 2}, allocatable={SMALL: 1, LARGE: 0})
    assert difference(wanted, shown) == {"status": {"capacity": {LARGE: "1"}, "allocatable": {SMALL: "2"}}}


def test_agreement_needs_no_patch() -> None:
    """What is not ours to count may show anything."""
    wanted = Counts(capacity={SMALL: 2}, allocatable={SMALL: 2})
    assert difference(wanted, Counts(capacity={SMALL: 2, LARGE: 5}, allocatable={SMALL: 2, LARGE: 5})) is None


@pytest.mark.parametrize(("version", "number"), [("12", 12), ("abc", 0), ("", 0), (None, 0)])
def test_a_version_that_is_no_number_compares_with_none(version: str | None, number: int) -> None:
    """Then no version is taken for older."""
    assert version_of({"metadata": {"resourceVersion": version}}) == number
