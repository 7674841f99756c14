"""When NVIDIA's plugin is started anew, and when it is not: the order, step by step."""

from dataclasses import replace
from typing import Any

import pytest

from nodeagent.gpus.leaving import SETTLE_S
from nodeagent.nvidia.round import (
    FIRST_PAUSE_S,
    GATHER_S,
    LAST_PAUSE_S,
    Facts,
    Phase,
    Plugin,
    Step,
    next_step,
    pause_s,
)

DUE = Facts(stale=True, plugin=Plugin.THERE, quiet_s=GATHER_S, age_s=SETTLE_S, count_shown=True)
"""Everything says that a start is due."""


def test_a_start_is_asked_for_only_after_the_counts_were_lowered() -> None:
    """Open, closed, asked, open again."""
    assert next_step(Phase.OPEN, DUE) is Step.CLOSE
    assert next_step(Phase.CLOSED, DUE) is Step.ASK
    assert next_step(Phase.ASKED, replace(DUE, plugin=Plugin.AWAY)) is Step.WAIT
    assert next_step(Phase.ASKED, replace(DUE, plugin=Plugin.COMING)) is Step.WAIT
    assert next_step(Phase.ASKED, replace(DUE, stale=False)) is Step.OPEN


@pytest.mark.parametrize(
    "fact",
    [
        {"stale": False},
        {"quiet_s": GATHER_S / 2},
        {"changing": True},
        {"backing_off": True},
        {"kubelet_answers": False},
        {"plugin": Plugin.AWAY},
        {"plugin": Plugin.COMING},
    ],
    ids=str,
)
def test_no_round_begins_without_need(fact: dict[str, Any]) -> None:
    """Each of these alone is reason enough to leave the plugin be."""
    assert next_step(Phase.OPEN, replace(DUE, **fact)) is Step.WAIT


@pytest.mark.parametrize(
    "fact", [{"count_shown": False}, {"age_s": SETTLE_S / 2}, {"pods_without_device": True}], ids=str
)
def test_a_pod_that_may_still_need_the_plugin_is_waited_for(fact: dict[str, Any]) -> None:
    """Bound and without its device, or about to be bound by a scheduler that saw the old count: it would fail for good."""
    assert next_step(Phase.CLOSED, replace(DUE, **fact)) is Step.WAIT


@pytest.mark.parametrize(
    "fact",
    [{"stale": False}, {"changing": True}, {"kubelet_answers": False}, {"plugin": Plugin.AWAY}],
    ids=str,
)
def test_a_round_that_lost_its_reason_is_given_up(fact: dict[str, Any]) -> None:
    """More slices are being made meanwhile, or the plugin went by itself: everything counts again."""
    assert next_step(Phase.CLOSED, replace(DUE, **fact)) is Step.OPEN


def test_a_start_that_did_not_help_ends_its_round() -> None:
    """It enumerated, and the kubelet still does not list what is there: what is listed counts, and the next try waits."""
    assert next_step(Phase.ASKED, DUE) is Step.OPEN


def test_pauses_grow_and_are_bounded() -> None:
    """None after success; then up to the kubelet's own longest pause."""
    assert pause_s(0) == 0
    assert pause_s(1) == FIRST_PAUSE_S
    assert [pause_s(n) for n in range(1, 9)] == sorted(pause_s(n) for n in range(1, 9))
    assert pause_s(100) == LAST_PAUSE_S
