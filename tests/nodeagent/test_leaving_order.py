"""The order in which a slice is taken away: each step only on its own conditions, and always a way back."""

from itertools import product

import pytest

from nodeagent.gpus.leaving import SETTLE_S, Action, Facts, Stage, next_action

DONE = Facts(unwanted=True, used=False, age_s=SETTLE_S, count_shown=True, offered=False)


def test_the_whole_way_of_a_slice_that_nobody_takes() -> None:
    """Hold back, withdraw, look, and nothing in between is skipped."""
    assert next_action(Stage.PRESENT, Facts(unwanted=True, used=False)) is Action.HOLD
    held = Facts(unwanted=True, used=False, age_s=SETTLE_S, count_shown=True)
    assert next_action(Stage.HELD, held) is Action.SETTLE
    assert next_action(Stage.SHOWN, held) is Action.WITHDRAW
    assert next_action(Stage.WITHDRAWN, held) is Action.WAIT
    assert next_action(Stage.WITHDRAWN, DONE) is Action.LOOK


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        (Facts(unwanted=True, used=False, age_s=SETTLE_S, count_shown=False), Action.HOLD),
        (Facts(unwanted=True, used=False, age_s=SETTLE_S / 2, count_shown=True), Action.WAIT),
        (Facts(unwanted=True, used=False, age_s=SETTLE_S, count_shown=True, pods_without_device=True), Action.WAIT),
        (Facts(unwanted=True, used=False, age_s=SETTLE_S, count_shown=True, kubelet_answers=False), Action.WAIT),
    ],
    ids=["count not shown any more", "bindings under way", "a bound Pod has no device", "kubelet away"],
)
def test_a_held_slice_is_not_withdrawn_while(facts: Facts, action: Action) -> None:
    """A Pod that was bound by the old count must find its device."""
    assert next_action(Stage.SHOWN, facts) is action


def test_the_moment_for_bindings_counts_from_when_the_node_showed_the_count() -> None:
    """However long that took: a scheduler decided by the old count until then."""
    for age_s in (0.0, SETTLE_S, 100 * SETTLE_S):
        assert next_action(Stage.HELD, Facts(unwanted=True, used=False, age_s=age_s)) is Action.WAIT
        shown = Facts(unwanted=True, used=False, age_s=age_s, count_shown=True)
        assert next_action(Stage.HELD, shown) is Action.SETTLE


def test_nothing_is_destroyed_that_is_used_or_wanted_or_still_offered() -> None:
    """Over all combinations of facts: the way to the driver is open in exactly one."""
    either = (False, True)
    for stage, (unwanted, used, answers, shown, offered) in product(Stage, product(either, repeat=5)):
        facts = Facts(unwanted, used, SETTLE_S, kubelet_answers=answers, count_shown=shown, offered=offered)
        way_open = stage is Stage.WITHDRAWN and unwanted and not used and answers and shown and not offered
        assert (next_action(stage, facts) is Action.LOOK) == way_open


@pytest.mark.parametrize("stage", [Stage.HELD, Stage.SHOWN, Stage.WITHDRAWN])
def test_a_slice_that_is_taken_or_wanted_again_comes_back(stage: Stage) -> None:
    """At any stage before the driver is asked."""
    assert next_action(stage, Facts(unwanted=True, used=True)) is Action.RETURN
    assert next_action(stage, Facts(unwanted=False, used=False)) is Action.RETURN
