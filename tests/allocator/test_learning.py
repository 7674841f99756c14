"""Each Pod is learned from once in its life, whoever leads, and what cannot be inherited costs nothing but the mix."""

import json
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.learning import MOST_BYTES, MOST_UIDS, Learning
from allocator.placement.mix import Mix
from allocator.pods import MigPod, PodReader
from mig.profiles import Profile, parse_profile
from tests.allocator import objects

SMALL, LARGE = parse_profile("1g.10gb"), parse_profile("7g.80gb")


def pod(uid: str, *profiles: str, second: int = 0, **spec: Any) -> MigPod:
    """A Pod as the allocator reads it, made `second` seconds into the hour."""
    obj = objects.pod(uid, *profiles, created=f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z", **spec)
    obj["metadata"] |= {"uid": uid, "resourceVersion": "1"}
    read = PodReader().read(obj)
    assert isinstance(read, MigPod)
    return read


def by_uid(*pods: MigPod) -> dict[str, MigPod]:
    return {item.uid: item for item in pods}


def weights(learning: Learning) -> dict[Profile, float]:
    return {profile: round(weight, 1) for profile, weight in learning.mix.weights}


@dataclass
class Reign:
    """Leaders one after the other over Pods that come and go, each with a profile of its own, so that its weight is its count."""

    in_order: bool
    pods: dict[str, MigPod] = field(default_factory=dict)
    made: int = 0
    clock: int = 0
    learning: Learning = field(default_factory=Learning)
    counted: list[MigPod] = field(default_factory=list)
    written: list[MigPod] = field(default_factory=list)
    lease: str = ""

    def make(self, wait: int) -> None:
        """A Pod is made `wait` seconds after the last; before it, where that is below zero and times may be out of order."""
        self.made += 1
        self.clock = max(0, self.clock + (abs(wait) if self.in_order else wait))
        made = pod(f"uid-{self.made}", f"1g.{self.made}gb", second=self.clock)
        self.pods[made.uid] = made

    def end(self, which: int) -> None:
        """A Pod goes."""
        if self.pods:
            del self.pods[sorted(self.pods)[which % len(self.pods)]]

    def look(self) -> None:
        """The leader looks, and so counts whatever nobody wrote down as counted."""
        self.learning.look(self.pods)
        fresh = [item for item in self.pods.values() if item not in self.counted]
        self.counted += sorted(fresh, key=lambda item: (item.created, item.uid))

    def renew(self) -> None:
        """The Lease is renewed."""
        if self.learning.annotation:
            self.lease, self.written = self.learning.annotation, list(self.counted)

    def depose(self) -> None:
        """The leader ends, with all that it did not write down."""
        self.learning, self.counted = Learning(self.lease), list(self.written)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("make"), st.integers(-1, 1)),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.sampled_from([("look", 0), ("look", 0), ("renew", 0), ("depose", 0)]),
    ),
    max_size=50,
)


def reign(steps: list[tuple[str, int]], *, in_order: bool) -> Reign:
    made = Reign(in_order)
    for what, number in [*steps, ("look", 0), ("renew", 0), ("depose", 0), ("look", 0)]:
        match what:
            case "make":
                made.make(number)
            case "end":
                made.end(number)
            case "look":
                made.look()
            case "renew":
                made.renew()
            case "depose":
                made.depose()
    return made


@given(steps=STEPS)
def test_no_pod_is_counted_twice_whoever_leads_and_whatever_its_creation_time(steps: list[tuple[str, int]]) -> None:
    for _, weight in reign(steps, in_order=False).learning.mix.weights:
        assert weight < 1.1


@given(steps=STEPS)
def test_where_pods_appear_in_the_order_of_their_times_every_pod_that_was_seen_counts_exactly_once(
    steps: list[tuple[str, int]],
) -> None:
    """What a leader counted and did not write down is counted by its successor, if it is still there."""
    made = reign(steps, in_order=True)
    expected = Mix().learning(need.profile for item in made.counted for need in item.needs)
    # Each hand-over rounds to a thousandth of an arrival.
    assert dict(made.learning.mix.weights) == pytest.approx(dict(expected.weights), abs=0.05)


def test_each_slice_that_a_pod_needs_is_one_arrival_and_no_later_look_counts_it_again() -> None:
    learning = Learning()
    pods = by_uid(pod("a", "1g.10gb", "1g.10gb", "7g.80gb"))
    for _ in range(3):
        learning.look(pods)
        # Its status changes all the time; it is still the same Pod.
        pods = by_uid(pod("a", "1g.10gb", "1g.10gb", "7g.80gb", node="n1"))
    assert weights(learning) == {SMALL: 2.0, LARGE: 1.0}


def test_what_appears_after_a_terms_first_look_is_new_whatever_its_creation_time_says() -> None:
    """API servers differ in their clocks, and admission may hold a Pod up between its time and its being stored."""
    first = Learning()
    first.look(by_uid(pod("a", "1g.10gb", second=9)))
    second = Learning(first.annotation)
    second.look(by_uid(pod("a", "1g.10gb", second=9)))
    second.look(by_uid(pod("a", "1g.10gb", second=9), pod("late", "7g.80gb", second=3)))
    assert weights(second) == {SMALL: 1.0, LARGE: 1.0}


def test_a_pod_of_the_very_second_up_to_which_the_predecessor_counted_is_told_by_its_uid() -> None:
    first = Learning()
    first.look(by_uid(pod("a", "1g.10gb", second=9)))
    second = Learning(first.annotation)
    second.look(by_uid(pod("a", "1g.10gb", second=9), pod("b", "7g.80gb", second=9)))
    assert weights(second) == {SMALL: 1.0, LARGE: 1.0}


def test_a_first_leader_begins_with_the_pods_that_run_and_wait() -> None:
    learning = Learning()
    learning.look(by_uid(pod("runs", "7g.80gb", gates=(), node="n1"), pod("waits", "1g.10gb", second=9)))
    assert weights(learning) == {SMALL: 1.0, LARGE: 1.0}


def test_a_pod_whose_requests_cannot_be_read_teaches_nothing_and_stops_nothing() -> None:
    """A12."""
    unreadable = pod("b", "1g.10gb")
    unreadable = MigPod(
        wish=type(unreadable.wish)("b", "default", "b", (), unreadable.wish.requests),
        resource_version="1",
        created=unreadable.created,
        trouble="nvidia.com/mig-banana names no MIG profile",
    )
    learning = Learning()
    learning.look(by_uid(unreadable, pod("a", "1g.10gb")))
    assert weights(learning) == {SMALL: 1.0}


def test_what_stands_in_the_lease_stays_there_until_the_pods_were_listed() -> None:
    learning = Learning()
    assert learning.annotation == ""
    learning.look({})
    assert json.loads(learning.annotation)["arrivals"] == {}


def test_a_look_that_shows_nothing_new_leaves_the_annotation_and_the_mix_as_they_are() -> None:
    """So a renewal carries the same text, and whoever keeps tables for a mix need not value them again."""
    learning = Learning()
    pods = by_uid(pod("a", "1g.10gb"))
    learning.look(pods)
    text, mix = learning.annotation, learning.mix
    learning.look(pods)
    learning.look({})
    assert learning.annotation is text
    assert learning.mix is mix


def test_a_burst_within_one_second_is_not_counted_again_though_the_annotation_names_few_of_it() -> None:
    burst = [pod(f"burst-{number:04}", "1g.10gb", second=5) for number in range(3 * MOST_UIDS)]
    first = Learning()
    first.look(by_uid(*burst))
    second = Learning(first.annotation)
    second.look(by_uid(*burst, pod("later", "7g.80gb", second=6)))
    assert second.mix.arrivals == pytest.approx(first.mix.arrivals + 1, abs=0.6)
    assert weights(second)[LARGE] == 1.0


def test_the_annotation_stays_far_below_what_an_object_may_carry() -> None:
    """Annotations of one object may have 256 KiB together; the fullest text is read by a successor as well."""
    longest = "a" * 20
    uid = "00000000-0000-4000-8000-000000000000"
    pods = [
        pod(f"{number:04}{uid[4:]}", f"1g.{1000 + number}gb+{longest}.{longest}", second=1)
        for number in range(MOST_UIDS)
    ]
    learning = Learning()
    learning.look(by_uid(*pods))
    assert len(learning.annotation) < 11_000 < MOST_BYTES
    again = Learning(learning.annotation)
    again.look(by_uid(*pods))
    assert dict(again.mix.weights) == pytest.approx(dict(learning.mix.weights), abs=0.0006)


def test_what_a_term_remembers_of_pods_that_went_is_bounded_by_what_is_there() -> None:
    """F4."""
    learning = Learning()
    for number in range(2_000):
        learning.look(by_uid(pod(f"p{number}", "1g.10gb", second=number)))
    assert learning.remembered <= 3
    assert learning.mix.arrivals == pytest.approx(676.7, abs=0.1)


@pytest.mark.parametrize(
    "damage",
    [
        "{",
        "null",
        "[]",
        '"a mix"',
        "[" * 9_000,
        '{"version":2,"until":"","uids":[],"arrivals":{}}',
        '{"version":1,"until":"","uids":[]}',
        '{"version":1,"until":"","uids":[],"arrivals":{"1g.10gb":NaN}}',
        '{"version":1,"until":"","uids":[],"arrivals":{"1g.10gb":1e9}}',
        '{"version":1,"until":"","uids":[],"arrivals":{"1g.10gb":' + "9" * 5_000 + "}}",
        '{"version":1,"until":"tomorrow","uids":[],"arrivals":{}}',
        '{"version":1,"until":7,"uids":[],"arrivals":{}}',
        '{"version":1,"until":"2026-01-01T00:00:00Z","uids":[7],"arrivals":{}}',
        '{"version":1,"until":"2026-01-01T00:00:00Z","uids":"all","arrivals":{}}',
        '{"version":1,"until":"2026-01-01T00:00:00Z","uids":[],"arrivals":{}}' + " " * MOST_BYTES,
    ],
)
def test_a_damaged_annotation_is_said_once_and_learning_starts_afresh(
    damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        learning = Learning(damage)
        learning.look(by_uid(pod("a", "1g.10gb")))
    (said,) = [record.getMessage() for record in caplog.records]
    assert "starts afresh" in said
    assert len(said) < 400
    assert weights(learning) == {SMALL: 1.0}
    caplog.clear()
    assert Learning(learning.annotation).mix.arrivals == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
