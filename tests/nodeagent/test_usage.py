"""Who uses a slice: from its Allocate until Pod, PodResources and process list are silent together."""

from dataclasses import replace

import pytest

from mig.migspec import Claim, Holder
from mig.profiles import parse_profile
from nodeagent.kubelet.podresources import Assignment
from nodeagent.pods import PodView
from nodeagent.use.usage import HANDOUT_S, LATE_S, Judgement, Memory, Offered, Sight, Source, judge

P1 = parse_profile("1g.10gb")
P3 = parse_profile("3g.40gb")
A, B, C = Offered("MIG-a", P1), Offered("MIG-b", P1), Offered("MIG-c", P3)
POD = PodView("default", "train", "uid-1", ((P1, 1),))
GONE: tuple[PodView, ...] = ()
NOW = 1000.0


def listed(pod: PodView, device: Offered, container: str = "main") -> Assignment:
    """PodResources says that this Pod has this device."""
    return Assignment(pod.namespace, pod.name, container, device.profile.resource, device.device_id)


def sight(
    *pods: PodView,
    assigned: tuple[Assignment, ...] | None = (),
    handed_out: dict[str, float] | None = None,
    pids: dict[str, tuple[int, ...] | None] | None = None,
    now: float = NOW,
    inherited: frozenset[str] = frozenset(),
) -> Sight:
    """What is seen."""
    return Sight(now, now, pods, assigned, handed_out or {}, pids or {}, inherited)


def holder(judged: Judgement, device: Offered) -> Holder | None:
    """Who has the slice."""
    return judged.memory.uses[device.device_id].holder


def used(judged: Judgement) -> set[str]:
    """Which slices are used."""
    return set(judged.memory.uses)


def running(*, device: Offered = A) -> Judgement:
    """A Pod that runs on a slice, as PodResources shows it."""
    return judge([A, B], sight(POD, assigned=(listed(POD, device),), handed_out={device.device_id: NOW - 1}), Memory())


def test_a_slice_is_used_from_its_allocate_on() -> None:
    """Before the Pod is known, before PodResources was asked: the next Pod must not count on it."""
    judged = judge([A, B], sight(assigned=None, handed_out={"MIG-a": NOW}), Memory())
    assert used(judged) == {"MIG-a"}
    assert holder(judged, A) is None
    assert judged.unsettled


def test_an_allocate_is_matched_with_the_pod_whose_claim_it_is() -> None:
    """Else with one that lacks a device; the kubelet corrects a wrong guess."""
    other = PodView("default", "other", "uid-2", ((P1, 1),))
    claimed = replace(A, claim=Claim("uid-2", "main", "default", "other"))
    judged = judge([claimed, B], sight(POD, other, handed_out={"MIG-a": NOW}), Memory())
    assert holder(judged, A) == Holder("default", "other", "uid-2")
    corrected = judge(
        [claimed, B],
        sight(
            POD,
            other,
            assigned=(listed(POD, A), listed(other, B)),
            handed_out={"MIG-a": NOW, "MIG-b": NOW},
            now=NOW + 1,
        ),
        judged.memory,
    )
    assert holder(corrected, A) == Holder("default", "train", "uid-1", "main")
    assert holder(corrected, B) == Holder("default", "other", "uid-2", "main")
    assert not corrected.unserved


def test_a_bound_pod_without_device_is_told() -> None:
    """No slice of its profile may be withdrawn meanwhile."""
    assert judge([A, B], sight(POD), Memory()).unserved == {P1}
    assert judge([A, B], sight(replace(POD, finished=True)), Memory()).unserved == frozenset()
    assert running().unserved == frozenset()


def test_it_stays_used_while_any_of_the_three_still_speaks() -> None:
    """Pod alive, or PodResources lists it, or a process computes: S9 is the last of them."""
    before = running().memory
    dead = replace(POD, finished=True)
    alive = judge([A], sight(POD, now=NOW + 1), before)
    assert used(alive) == {"MIG-a"}
    still_listed = judge([A], sight(dead, assigned=(listed(POD, A),), now=NOW + 1), before)
    assert used(still_listed) == {"MIG-a"}
    computing = judge([A], sight(pids={"MIG-a": (4711,)}, now=NOW + 1), before)
    assert computing.memory.uses["MIG-a"].source is Source.PROCESS
    assert computing.memory.uses["MIG-a"].holder == Holder("default", "train", "uid-1", "main")
    assert computing.unsettled


@pytest.mark.parametrize("pods", [(replace(POD, finished=True),), GONE], ids=["finished", "gone"])
def test_it_is_free_when_all_three_are_silent(pods: tuple[PodView, ...]) -> None:
    """And its Allocate may be forgotten."""
    after = judge([A], sight(*pods, handed_out={"MIG-a": NOW - 1}, pids={"MIG-a": ()}, now=NOW + 1), running().memory)
    assert used(after) == set()
    assert after.ended == {"MIG-a"}
    assert after.released == {"MIG-a"}


def test_silence_that_is_no_answer_frees_nothing() -> None:
    """Invariant 6: the kubelet does not answer, or the driver does not."""
    before = running().memory
    assert used(judge([A], sight(assigned=None, now=NOW + 1), before)) == {"MIG-a"}
    assert used(judge([A], sight(pids={"MIG-a": None}, now=NOW + 1), before)) == {"MIG-a"}


def test_a_device_handed_out_anew_does_not_end_with_its_old_pod() -> None:
    """The old Pod is gone, the kubelet gave its device to the next one, and PodResources does not list that yet."""
    judged = judge([A], sight(handed_out={"MIG-a": NOW + 2}, now=NOW + 2.1), running().memory)
    assert used(judged) == {"MIG-a"}
    assert holder(judged, A) is None
    assert judged.released == frozenset()


def test_a_namesake_made_anew_does_not_inherit_the_slice() -> None:
    """A9: PodResources knows no uid; what was handed out before the namesake came is the old one's."""
    namesake = replace(POD, uid="uid-new")
    judged = judge([A, B], sight(namesake, assigned=(listed(POD, A),), now=NOW + 1), running().memory)
    assert holder(judged, A) == Holder("default", "train", "uid-1", "main")
    assert judged.unserved == {P1}


def test_a_plain_init_containers_device_is_used_though_podresources_leaves_it_out() -> None:
    """Its Pod has it as long as it lives, and it goes on to a later container with a second Allocate."""
    first = judge([A, B], sight(POD, handed_out={"MIG-a": NOW}), Memory())
    much_later = judge([A, B], sight(POD, handed_out={"MIG-a": NOW}, now=NOW + 900), first.memory)
    assert holder(much_later, A) == Holder("default", "train", "uid-1")
    assert not much_later.unsettled
    other = PodView("default", "other", "uid-0", ((P1, 1),))
    passed_on = judge([A, B], sight(other, POD, handed_out={"MIG-a": NOW + 901}, now=NOW + 901), much_later.memory)
    assert holder(passed_on, A) == Holder("default", "train", "uid-1")


def test_a_pod_from_before_our_time_has_the_slice_of_its_claim() -> None:
    """Its Allocate was another agent's, and PodResources leaves plain init containers out."""
    claimed = replace(A, claim=Claim("uid-1", "main", "default", "train"))
    judged = judge([claimed, B], sight(POD, inherited=frozenset({"uid-1"})), Memory())
    assert used(judged) == {"MIG-a"}
    newcomer = judge([claimed, B], sight(POD), Memory())
    assert used(newcomer) == set()


def test_a_handout_that_no_pod_explains_ends_after_a_while() -> None:
    """The kubelet asked and then admitted no Pod; 30 s is the longest that our watch may lag behind the kubelet's."""
    handed_out = {"MIG-a": NOW}
    early = judge([A], sight(handed_out=handed_out, now=NOW + HANDOUT_S - 1), Memory())
    assert used(early) == {"MIG-a"}
    late = judge([A], sight(handed_out=handed_out, now=NOW + HANDOUT_S), early.memory)
    assert used(late) == set()
    assert late.released == {"MIG-a"}


def test_a_pod_that_was_over_before_we_saw_it_run_explains_its_handout() -> None:
    """Not at once, since a Pod that the kubelet refused looks the same and the real holder may not be seen yet."""
    done = replace(POD, finished=True)
    early = judge([A], sight(done, handed_out={"MIG-a": NOW}, now=NOW + 0.1), Memory())
    assert used(early) == {"MIG-a"}
    late = judge([A], sight(done, handed_out={"MIG-a": NOW}, now=NOW + LATE_S), early.memory)
    assert used(late) == set()
    assert late.released == {"MIG-a"}


def test_somebody_who_computes_without_a_pod_is_seen() -> None:
    """By the process list alone; nobody is named."""
    judged = judge([A, C], sight(pids={"MIG-a": (), "MIG-c": (1, 2)}), Memory())
    assert used(judged) == {"MIG-c"}
    assert holder(judged, C) is None


def test_devices_of_others_are_nobodys_business() -> None:
    """Foreign MIG devices in PodResources, and slices that are gone."""
    stranger = Offered("MIG-x", P1)
    judged = judge([A], sight(POD, assigned=(listed(POD, stranger),), handed_out={"MIG-x": NOW}), running().memory)
    assert used(judged) == {"MIG-a"}
    assert used(judge([B], sight(POD, now=NOW + 1), running().memory)) == set()
