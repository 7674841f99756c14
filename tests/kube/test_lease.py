"""What an election does in each single fault, step by step on virtual time; defaults 15/10/2 s."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from kube.lease import LeadershipLost, LeaseElection
from tests.support.candidate import Candidate, virtually
from tests.support.leases import COLLECTION, Wire
from tests.support.objectstore import JsonObject, ObjectStore

WALL = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def stored(store: ObjectStore) -> dict[str, Any]:
    spec: JsonObject = store.get(COLLECTION, "ns", "lease")["spec"]
    return spec


@virtually
async def test_l10_a_released_lease_is_taken_within_one_retry_and_a_dead_ones_after_its_duration() -> None:
    store = ObjectStore()
    first, second = Candidate(store, "first"), Candidate(store, "second")
    await asyncio.sleep(20)
    assert (first.log, second.log) == ([(0, "leads 1")], [])
    first.leading.cancel()
    assert isinstance(await first.end(), asyncio.CancelledError)
    await asyncio.sleep(2.2)
    [(taken_s, what)] = second.log
    assert (20 <= taken_s <= 22, what) == (True, "leads 2")
    third = Candidate(store, "third")
    second.wire.dead = True
    await asyncio.sleep(20)
    assert [what for _, what in second.log] == ["leads 2", "stopped"]
    [(taken_s, what)] = third.log
    assert (15 <= taken_s <= 17, what) == (True, "leads 3")


@virtually
async def test_the_lease_is_released_only_after_the_work_has_stopped() -> None:
    store = ObjectStore()
    leader = Candidate(store, "leader", stopping_s=25)
    await asyncio.sleep(5)
    leader.leading.cancel()
    # A second cancellation, from an impatient task group, say, does not cut it short.
    await asyncio.sleep(24)
    leader.leading.cancel()
    assert stored(store)["holderIdentity"] == "leader"
    assert isinstance(await leader.end(), asyncio.CancelledError)
    assert leader.log == [(0, "leads 1"), (30, "stopped")]
    assert (stored(store)["holderIdentity"], stored(store)["leaseTransitions"]) == ("", 1)


@virtually
async def test_l1_l2_l3_work_stops_ten_seconds_after_the_last_good_renewal_was_sent() -> None:
    leader = Candidate(ObjectStore(), "leader")
    await asyncio.sleep(5)
    sent_s = leader.wire.asked_s[-1]
    leader.wire.dead = True
    error = await leader.end()
    assert isinstance(error, LeadershipLost)
    assert "could not be renewed for 10 s" in str(error)
    assert asyncio.get_running_loop().time() - sent_s == pytest.approx(10, abs=0.1)


@virtually
async def test_the_deadline_counts_from_before_the_request_was_sent() -> None:
    """An answer that took 4 s proves the Lease only up to when it was asked for."""
    leader = Candidate(ObjectStore(), "leader")
    await asyncio.sleep(1)
    leader.wire.answer_s = 4
    await asyncio.sleep(2)
    asked_s = leader.wire.asked_s[-1]
    leader.wire.dead = True
    await leader.end()
    assert asyncio.get_running_loop().time() - asked_s == pytest.approx(10, abs=0.1)


@virtually
async def test_l4_a_stolen_lease_stops_the_work_at_the_next_renewal() -> None:
    store = ObjectStore()
    leader = Candidate(store, "leader")
    await asyncio.sleep(5)
    lease = store.get(COLLECTION, "ns", "lease")
    lease["spec"].update(holderIdentity="thief", leaseTransitions=2)
    store.update(COLLECTION, "ns", "lease", lease)
    error = await leader.end()
    assert "held by thief in epoch 2" in str(error)
    assert leader.log[-1][0] <= 7
    assert stored(store)["holderIdentity"] == "thief"


@virtually
async def test_a_lease_edited_by_others_but_still_ours_is_renewed_on() -> None:
    store = ObjectStore()
    leader = Candidate(store, "leader")
    for _ in range(20):
        await asyncio.sleep(3)
        lease = store.get(COLLECTION, "ns", "lease")
        lease["metadata"]["labels"] = {"at": str(store.version)}
        store.update(COLLECTION, "ns", "lease", lease)
    assert leader.log == [(0, "leads 1")]
    assert store.get(COLLECTION, "ns", "lease")["metadata"]["labels"]


@virtually
async def test_l5_work_that_crashes_or_ends_releases_the_lease_and_says_so() -> None:
    store = ObjectStore()
    for epoch, outcome in enumerate([ValueError("crash"), None], start=1):
        candidate = Candidate(store, "c")
        candidate.leading.cancel()
        await candidate.end()

        async def work(got: int, outcome: Exception | None = outcome, epoch: int = epoch) -> None:
            assert got == epoch
            if outcome:
                raise outcome

        if outcome:
            with pytest.raises(ValueError, match="crash"):
                await candidate.election.lead(work)
        else:
            await candidate.election.lead(work)
        assert stored(store)["holderIdentity"] == ""


@virtually
async def test_work_that_does_not_stop_before_the_lease_ends_takes_the_process_with_it() -> None:
    leader = Candidate(ObjectStore(), "leader", stopping_s=6)
    await asyncio.sleep(5)
    leader.wire.dead = True
    await leader.end()
    events = [what for _, what in leader.log]
    assert events == ["leads 1", "aborted", "stopped"]
    # 15 s after the last good renewal, which was sent between 3 and 5 s.
    assert 18 <= leader.log[1][0] <= 20


@virtually
async def test_l9_after_the_lease_was_deleted_the_epoch_goes_on_above_all_in_use() -> None:
    store = ObjectStore()
    first = Candidate(store, "first", floor=41)
    await asyncio.sleep(1)
    assert first.log == [(0, "leads 42")]
    waiting = Candidate(store, "waiting", floor=41)
    await asyncio.sleep(1)
    store.delete(COLLECTION, "ns", "lease")
    assert "deleted" in str(await first.end())
    fresh = Candidate(store, "fresh", floor=42)
    await asyncio.sleep(30)
    assert [what for _, what in fresh.log] == ["leads 43"]
    assert waiting.log == []
    fresh.leading.cancel()
    await asyncio.sleep(3)
    # Its own floor is old, but it has seen epoch 43.
    assert [what for _, what in waiting.log] == ["leads 44"]


@virtually
async def test_l9_who_knew_the_holder_of_a_deleted_lease_gives_it_time_to_notice() -> None:
    store = ObjectStore()
    first, second = Candidate(store, "first"), Candidate(store, "second")
    await asyncio.sleep(5)
    first.wire.dead = True
    store.delete(COLLECTION, "ns", "lease")
    await asyncio.sleep(30)
    [(_, _), (stopped, _)], [(led, what)] = first.log, second.log
    assert stopped < led
    assert what == "leads 2"


@virtually
async def test_l9_a_lease_full_of_garbage_is_taken_over_with_a_higher_epoch() -> None:
    store = ObjectStore()
    garbage = {"holderIdentity": "???", "leaseTransitions": "many", "leaseDurationSeconds": -3, "renewTime": "soon"}
    store.create(COLLECTION, "ns", {"metadata": {"name": "lease"}, "spec": garbage})
    candidate = Candidate(store, "c", floor=7)
    await asyncio.sleep(30)
    assert candidate.log[0][1] == "leads 8"
    assert 15 <= candidate.log[0][0] <= 17


@virtually
async def test_a_longer_lease_of_another_configuration_is_respected() -> None:
    store = ObjectStore()
    spec = {"holderIdentity": "other", "leaseTransitions": 3, "leaseDurationSeconds": 60}
    store.create(COLLECTION, "ns", {"metadata": {"name": "lease"}, "spec": spec})
    candidate = Candidate(store, "c")
    await asyncio.sleep(70)
    assert candidate.log[0][1] == "leads 4"
    assert 60 <= candidate.log[0][0] <= 62


@virtually
async def test_l6_wall_clocks_that_jump_change_nothing_but_what_humans_read() -> None:
    store = ObjectStore()
    jumps = iter(range(10_000))

    def wall() -> datetime:
        return datetime.fromtimestamp(1.7e9 + (-1) ** next(jumps) * 3600.0, UTC)

    leader, other = Candidate(store, "leader", wall=wall), Candidate(store, "other")
    await asyncio.sleep(300)
    assert (leader.log, other.log) == ([(0, "leads 1")], [])


@virtually
async def test_times_are_written_as_utc_with_microseconds() -> None:
    store = ObjectStore()
    Candidate(store, "leader", wall=lambda: WALL)
    await asyncio.sleep(1)
    assert stored(store) == {
        "holderIdentity": "leader",
        "leaseDurationSeconds": 15,
        "leaseTransitions": 1,
        "acquireTime": "2026-01-02T03:04:05.678901Z",
        "renewTime": "2026-01-02T03:04:05.678901Z",
    }


@virtually
async def test_a_successor_inherits_what_the_predecessor_noted() -> None:
    store = ObjectStore()
    first = Candidate(store, "first", note={"a/learned": "x"})
    await asyncio.sleep(5)
    first.leading.cancel()
    await first.end()
    second = Candidate(store, "second", note={"a/learned": "y"})
    await asyncio.sleep(1)
    assert second.election.inherited == {"a/learned": "x"}


@virtually
async def test_an_own_write_whose_answer_was_lost_costs_no_lease_duration() -> None:
    store = ObjectStore()
    lost = {"spec": {"holderIdentity": "me", "leaseTransitions": 1}, "metadata": {"name": "lease"}}
    store.create(COLLECTION, "ns", lost)
    candidate = Candidate(store, "me")
    await asyncio.sleep(1)
    assert candidate.log == [(0, "leads 2")]


@virtually
async def test_nobody_leads_while_the_highest_epoch_is_unknown() -> None:
    candidate = Candidate(ObjectStore(), "c", floor=None)
    await asyncio.sleep(60)
    assert candidate.log == []
    candidate.floor = 5
    await asyncio.sleep(2.5)
    assert [what for _, what in candidate.log] == ["leads 6"]


@pytest.mark.parametrize("times", [(10, 10, 2), (15, 2, 2), (15, 10, 0)])
def test_times_that_cannot_be_safe_are_refused(times: tuple[float, float, float]) -> None:
    lease, renew, retry = times
    with pytest.raises(ValueError, match="lease times must rise"):
        LeaseElection(
            Wire(ObjectStore()),
            namespace="ns",
            name="l",
            identity="i",
            floor_epoch=lambda: asyncio.sleep(0, 0),
            lease_s=lease,
            renew_s=renew,
            retry_s=retry,
        )
