"""The book: what is listed, what is preferred, and what is refused."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mig.profiles import parse_profile
from nodeagent.kubelet.offers import DROP_AFTER_S, SUCCEED_AFTER_S, Listed, Offers, Refused
from tests.support.slices import device, uuid

SMALL = parse_profile("1g.10gb")
LARGE = parse_profile("3g.40gb")


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time now."""
        return self.now


def book(*numbers: int) -> tuple[Offers, Clock]:
    clock = Clock()
    offers = Offers(clock=clock)
    for number in numbers:
        offers.offer(device(number, SMALL))
    return offers, clock


def prefer(offers: Offers, *available: int, must: tuple[int, ...] = (), size: int = 1) -> list[int]:
    ids = offers.preferred(
        SMALL, available=[uuid(number) for number in available], must_include=[uuid(n) for n in must], size=size
    )
    return [int(each[-12:]) for each in ids]


def test_claimed_slices_come_first_in_their_order() -> None:
    """Then the others; what is about to go comes last, even when it is claimed."""
    offers, _ = book(1, 2, 3, 4)
    offers.prefer({SMALL: [uuid(4), uuid(3)]})
    offers.hold_back({uuid(3), uuid(1)})
    assert prefer(offers, 1, 2, 3, 4, size=4) == [4, 2, 3, 1]


def test_what_must_be_included_is_included() -> None:
    """The kubelet has already chosen those."""
    offers, _ = book(1, 2, 3)
    offers.prefer({SMALL: [uuid(1)]})
    assert prefer(offers, 1, 2, 3, must=(3,), size=2) == [3, 1]


def test_only_what_is_free_by_our_own_book_is_preferred() -> None:
    """In use, handed out, withdrawn, unknown or of another profile: the kubelet's list means nothing."""
    offers, _ = book(1, 2, 3, 4)
    offers.offer(device(5, LARGE))
    offers.mark_in_use({uuid(1)})
    offers.hand_out(SMALL, [uuid(2)])
    offers.withdraw(uuid(3))
    assert prefer(offers, 1, 2, 3, 4, 5, 6, size=6) == [4]


def test_a_refused_pair_hands_out_neither() -> None:
    """One `Allocate` is one decision."""
    offers, _ = book(1, 2)
    offers.withdraw(uuid(2))
    with pytest.raises(Refused, match="is being taken away"):
        offers.hand_out(SMALL, [uuid(1), uuid(2)])
    assert offers.handed_out == {}


@pytest.mark.parametrize("number", [7, 5])
def test_an_unknown_id_and_one_of_another_profile_are_refused(number: int) -> None:
    """The text names the slice, and what to do."""
    offers, _ = book(1)
    offers.offer(device(5, LARGE))
    with pytest.raises(Refused, match=rf"slice {uuid(number)} \(1g.10gb\) does not exist .* create the Pod again"):
        offers.hand_out(SMALL, [uuid(number)])
    with pytest.raises(Refused):
        offers.start(SMALL, [uuid(number)])


def test_a_withdrawn_slice_still_starts_the_container_that_has_it() -> None:
    """A container that restarts in place is no new user."""
    offers, _ = book(1)
    offers.hand_out(SMALL, [uuid(1)])
    offers.withdraw(uuid(1))
    offers.start(SMALL, [uuid(1)])


def test_a_start_without_a_known_hand_out_counts_as_one() -> None:
    """After a restart of the agent, only the start tells."""
    offers, clock = book(1)
    offers.start(SMALL, [uuid(1)])
    assert offers.handed_out == {uuid(1): clock.now}
    clock.now += 5
    offers.start(SMALL, [uuid(1)])
    assert offers.handed_out == {uuid(1): clock.now - 5}


def test_a_drop_meant_for_a_predecessor_does_nothing() -> None:
    """A slice made anew at the same place may have the same UUID; neither offered nor freshly withdrawn does it vanish."""
    offers, clock = book(1)
    offers.withdraw(uuid(1))
    clock.now += 2 * DROP_AFTER_S
    offers.offer(device(1, SMALL))
    offers.drop(uuid(1))
    assert [line.healthy for line in offers.listed(SMALL)] == [True]
    offers.withdraw(uuid(1))
    offers.drop(uuid(1))
    assert [line.healthy for line in offers.listed(SMALL)] == [False]
    clock.now += DROP_AFTER_S
    offers.drop(uuid(1))
    assert offers.listed(SMALL) == ()
    assert offers.profiles == {SMALL}


@pytest.mark.parametrize("withdrawn", [True, False], ids=["taken away by us", "replaced behind our back"])
def test_an_id_that_comes_back_with_another_profile_changes_lists_only_after_its_time(*, withdrawn: bool) -> None:
    """Two profiles at one place have the same UUID; an id that vanishes while it is allocated can crash the kubelet."""
    offers, clock = book(1)
    if withdrawn:
        offers.withdraw(uuid(1))
    offers.offer(device(1, LARGE))
    assert offers.profiles == {SMALL, LARGE}
    for _ in range(3):
        assert offers.listed(SMALL) == (Listed(uuid(1), healthy=False),)
        assert offers.listed(LARGE) == ()
        offers.offer(device(1, LARGE))
        due = offers.let_in()
        assert 0 < due <= SUCCEED_AFTER_S
        clock.now += SUCCEED_AFTER_S / 4
    clock.now += SUCCEED_AFTER_S / 4
    seen = offers.changed.count
    assert offers.let_in() == float("inf")
    assert offers.changed.count > seen
    assert offers.listed(SMALL) == ()
    assert offers.listed(LARGE) == (Listed(uuid(1), healthy=True),)


def test_while_an_id_waits_for_its_new_list_nobody_gets_it_under_either_profile() -> None:
    """The old slice is gone, whatever its UUID; who had it is forgotten when the new one is listed."""
    offers, clock = book(1)
    offers.hand_out(SMALL, [uuid(1)])
    offers.withdraw(uuid(1))
    offers.offer(device(1, LARGE))
    for profile in (SMALL, LARGE):
        with pytest.raises(Refused, match="does not exist on this node any more"):
            offers.hand_out(profile, [uuid(1)])
        with pytest.raises(Refused):
            offers.start(profile, [uuid(1)])
    clock.now += SUCCEED_AFTER_S
    offers.let_in()
    offers.hand_out(LARGE, [uuid(1)])
    assert offers.handed_out == {uuid(1): clock.now}


def test_a_slice_that_goes_while_it_waits_for_its_list_is_never_listed() -> None:
    """Withdrawn again, or its predecessor's profile is back."""
    offers, clock = book(1, 2)
    for number in (1, 2):
        offers.withdraw(uuid(number))
        offers.offer(device(number, LARGE))
    offers.withdraw(uuid(1))
    offers.offer(device(2, SMALL))
    clock.now += SUCCEED_AFTER_S
    assert offers.let_in() == float("inf")
    offers.drop(uuid(1))
    assert offers.listed(SMALL) == (Listed(uuid(2), healthy=True),)
    assert offers.listed(LARGE) == ()


NUMBERS = st.integers(1, 4)


class ForgetfulKubelet(RuleBasedStateMachine):
    """A kubelet whose idea of what is free is arbitrary, against our book. Invariant 1: no device has two Pods."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.offers = Offers(clock=self.clock)
        self.holders: dict[str, set[int]] = {}
        self.pods = 0

    @rule(number=NUMBERS)
    def offer(self, number: int) -> None:
        """A slice is made, or stays after all."""
        self.offers.offer(device(number, SMALL))

    @rule(number=NUMBERS, seconds=st.sampled_from([0.0, 0.5, 3.0]))
    def withdraw_or_drop(self, number: int, seconds: float) -> None:
        """The agent takes a slice away that nobody has."""
        if self.holders.get(uuid(number)):
            return
        self.offers.withdraw(uuid(number))
        self.clock.now += seconds
        self.offers.drop(uuid(number))

    @rule(available=st.sets(NUMBERS, min_size=1), follows=st.booleans())
    def new_pod(self, available: set[int], *, follows: bool) -> None:
        """It takes our preference, or anything that it thinks is free."""
        ids = [uuid(number) for number in sorted(available)]
        preferred = self.offers.preferred(SMALL, available=ids, must_include=(), size=1)
        chosen = preferred[0] if preferred and follows else ids[0]
        self.pods += 1
        try:
            self.offers.hand_out(SMALL, [chosen])
        except Refused:
            assert chosen not in preferred
            return
        self.holders.setdefault(chosen, set()).add(self.pods)

    @precondition(lambda self: any(self.holders.values()))
    @rule(data=st.data())
    def passed_on_within_a_pod(self, data: st.DataObject) -> None:
        """An init container's device is always granted again."""
        chosen = data.draw(st.sampled_from(sorted(each for each, pods in self.holders.items() if pods)))
        self.offers.hand_out(SMALL, [chosen])

    @precondition(lambda self: any(self.holders.values()))
    @rule(data=st.data())
    def pod_ends(self, data: st.DataObject) -> None:
        """The agent sees it gone, and forgets the hand-out."""
        chosen = data.draw(st.sampled_from(sorted(each for each, pods in self.holders.items() if pods)))
        self.holders[chosen].clear()
        self.offers.forget_handout(chosen)

    @invariant()
    def no_device_has_two_pods(self) -> None:
        """And what a Pod has is known."""
        for device_id, pods in self.holders.items():
            assert len(pods) <= 1
            assert not pods or device_id in self.offers.handed_out


ForgetfulKubelet.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestNoDeviceHasTwoPods = ForgetfulKubelet.TestCase
