"""The scale of lifetimes is learned beside the mix: once from each Pod that declares one, and handed from leader to leader."""

import json
import logging
from typing import Any

import pytest

from allocator.learning import MOST_LIFETIMES, Learning
from allocator.placement.durations import Scale
from allocator.pods import MigPod, PodReader
from mig.names import DURATION_ANNOTATION
from tests.allocator import objects


def pod(uid: str, lasts: str | None = None, *profiles: str, second: int = 0, **spec: Any) -> MigPod:
    """A Pod as the allocator reads it, made `second` seconds into the hour."""
    created = f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z"
    obj = objects.pod(uid, *(profiles or ("1g.10gb",)), created=created, **spec)
    obj["metadata"] |= {"uid": uid, "resourceVersion": "1"}
    if lasts is not None:
        obj["metadata"]["annotations"][DURATION_ANNOTATION] = lasts
    read = PodReader().read(obj)
    assert isinstance(read, MigPod)
    return read


def by_uid(*pods: MigPod) -> dict[str, MigPod]:
    return {item.uid: item for item in pods}


def learned(*pods: MigPod) -> Learning:
    learning = Learning()
    learning.look(by_uid(*pods))
    return learning


def test_each_declared_lifetime_counts_once_a_pod_however_many_slices_it_needs_and_looks_it_lives_through() -> None:
    learning = Learning()
    pods = by_uid(pod("a", "1h", "1g.10gb", "7g.80gb"), pod("b", "30m"), pod("c"))
    for _ in range(3):
        learning.look(pods)
    assert learning.scale == Scale().after(3600.0).after(1800.0)


def test_lifetimes_are_taken_in_the_order_in_which_their_pods_were_made() -> None:
    one = learned(pod("a", "1h", second=1), pod("b", "1m", second=2))
    other = learned(pod("b", "1m", second=2), pod("a", "1h", second=1))
    assert one.scale == other.scale != learned(pod("b", "1h", second=2), pod("a", "1m", second=1)).scale


def test_pods_that_declare_nothing_or_nothing_readable_teach_no_scale_and_leave_no_trace_in_the_annotation() -> None:
    """A12."""
    learning = learned(pod("a"), pod("b", "soon"))
    assert learning.scale == Scale()
    assert learning.scale.seconds is None
    assert "lifetimes" not in json.loads(learning.annotation)


def test_a_deadline_teaches_as_an_annotation_does() -> None:
    assert learned(pod("a", activeDeadlineSeconds=60)).scale == learned(pod("a", "1m")).scale


def test_a_lifetime_that_is_declared_anew_does_not_count_again() -> None:
    learning = learned(pod("a", "1h"))
    learning.look(by_uid(pod("a", "1m")))
    assert learning.scale == Scale().after(3600.0)


def test_a_successor_goes_on_from_the_scale_and_counts_no_pod_again() -> None:
    """L10, L11."""
    first = learned(pod("a", "1h", second=1), pod("b", "10m", second=2))
    second = Learning(first.annotation)
    assert second.scale.mean_log == pytest.approx(first.scale.mean_log, abs=1e-6)
    assert second.scale.weight == pytest.approx(first.scale.weight, abs=1e-3)
    second.look(by_uid(pod("a", "1h", second=1), pod("b", "10m", second=2), pod("c", "1m", second=3)))
    expected = Scale().after(3600.0).after(600.0).after(60.0)
    assert second.scale.mean_log == pytest.approx(expected.mean_log, abs=1e-3)
    assert second.scale.weight == pytest.approx(expected.weight, abs=1e-2)


def test_what_an_allocator_left_that_knew_no_lifetimes_is_read_and_its_mix_goes_on() -> None:
    """An upgrade: the annotation's version is the same, for either reads the other's."""
    old = '{"version":1,"until":"2026-01-01T00:00:01Z","uids":["a"],"arrivals":{"1g.10gb":7.0}}'
    learning = Learning(old)
    assert learning.mix.arrivals == 7
    assert learning.scale == Scale()
    learning.look(by_uid(pod("b", "1h", second=2)))
    assert learning.scale == Scale().after(3600.0)


def test_what_this_allocator_leaves_differs_from_the_earlier_form_by_one_key_that_it_never_reads() -> None:
    """A downgrade: nothing that an earlier version looks at is other than it wrote it itself."""
    value = json.loads(learned(pod("a", "1h", second=1)).annotation)
    assert set(value) == {"version", "until", "uids", "arrivals", "lifetimes"}
    assert (value["version"], value["until"], value["uids"]) == (1, "2026-01-01T00:00:01Z", ["a"])
    del value["lifetimes"]
    assert Learning(json.dumps(value)).mix == learned(pod("a", "1h", second=1)).mix


def test_a_look_that_shows_nothing_new_leaves_the_scale_as_it_is() -> None:
    learning = learned(pod("a", "1h"))
    scale, text = learning.scale, learning.annotation
    learning.look(by_uid(pod("a", "1h")))
    learning.look({})
    assert learning.scale is scale
    assert learning.annotation is text


def test_the_scale_of_many_lifetimes_is_bounded_and_read_by_the_successor(caplog: pytest.LogCaptureFixture) -> None:
    """F4: also the longest and the shortest lifetimes that can be declared."""
    pods = [pod(f"{number:05}", ("1ns", "2562047h")[number % 2], second=number % 3000) for number in range(12_000)]
    learning = learned(*pods)
    assert 721 < learning.scale.weight <= MOST_LIFETIMES
    with caplog.at_level(logging.WARNING):
        successor = Learning(learning.annotation)
    assert not caplog.records
    assert successor.scale.seconds == pytest.approx(learning.scale.seconds, rel=1e-5)


@pytest.mark.parametrize(
    "lifetimes",
    [
        "7",
        "[]",
        "{}",
        '{"meanLog":8.1}',
        '{"meanLog":"8","weight":1}',
        '{"meanLog":true,"weight":1}',
        '{"meanLog":NaN,"weight":1}',
        '{"meanLog":99,"weight":1}',
        '{"meanLog":-99,"weight":1}',
        '{"meanLog":8.1,"weight":-1}',
        '{"meanLog":8.1,"weight":Infinity}',
        '{"meanLog":8.1,"weight":1e6}',
        '{"meanLog":8.1,"weight":null}',
    ],
)
def test_a_damaged_scale_is_said_once_and_learning_starts_afresh(
    lifetimes: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A12."""
    text = f'{{"version":1,"until":"","uids":[],"arrivals":{{"1g.10gb":7.0}},"lifetimes":{lifetimes}}}'
    with caplog.at_level(logging.WARNING):
        learning = Learning(text)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "starts afresh" in said
    assert (learning.mix.arrivals, learning.scale) == (0, Scale())
