"""What of ours is missed in a reading, and how long that is told (N6)."""

from dataclasses import replace

import pytest

from mig.migspec import Holder
from nodeagent.gpus.ownership import Entry
from nodeagent.gpus.vanished import TOLD_S, Vanished, missing, still_told
from nodeagent.pods import PodView
from nodeagent.use.usage import Source, Use
from nodeagent.values import Instance
from tests.support.instances import GPU, instance

ONE = instance("1g.10gb@0+1", gi=7)
ENTRY = Entry(GPU, ONE.placed, ONE.uuid)
POD = PodView("default", "train", "uid-1")
USED = Use(Source.ASSIGNED, 0.0, Holder("default", "train", "uid-1", "main"))


@pytest.mark.parametrize(
    ("entry", "instances", "gone"),
    [
        (ENTRY, [ONE], False),
        (ENTRY, [], True),
        (ENTRY, [replace(ONE, uuid="")], True),
        (ENTRY, [replace(ONE, uuid="MIG-another")], True),
        (replace(ENTRY, uuid=""), [], False),
        (replace(ENTRY, gpu="GPU-other"), [], False),
    ],
    ids=["there", "gone", "its compute instance gone", "another in its place", "only intended", "of another GPU"],
)
def test_what_is_missed(entry: Entry, instances: list[Instance], *, gone: bool) -> None:
    """An intent was never there, and of a GPU that was not read nothing is known."""
    assert missing([entry], instances, gpu=GPU, by_us=()) == ((entry,) if gone else ())
    assert missing([entry], instances, gpu=GPU, by_us={ONE.uuid}) == ()


@pytest.mark.parametrize(
    ("use", "pods", "age_s", "told"),
    [
        (None, {}, TOLD_S - 1, True),
        (None, {"uid-1": POD}, TOLD_S, False),
        (USED, {"uid-1": POD}, TOLD_S * 100, True),
        (USED, {"uid-1": replace(POD, finished=True)}, TOLD_S, False),
        (USED, {}, TOLD_S, False),
        (replace(USED, holder=None), {}, TOLD_S, False),
    ],
    ids=["fresh", "old", "its Pod lives", "its Pod has finished", "its Pod is gone", "processes alone"],
)
def test_how_long_it_is_told(use: Use | None, pods: dict[str, PodView], age_s: float, *, told: bool) -> None:
    """For a while, and as long as somebody has to act on it."""
    item = Vanished(ONE.uuid, 1000.0, use)
    assert bool(still_told({ONE.placed: item}, pods=pods, now=1000.0 + age_s)) == told


def test_the_text_says_who_lost_it_and_what_to_do() -> None:
    """A Pod by name; processes where there is no Pod."""
    assert "Pod default/train used it, and cannot go on with it: delete that Pod" in Vanished("MIG-1", 0, USED).text
    assert Vanished("MIG-1", 0, replace(USED, holder=None)).text.endswith("; processes used it")
    assert "used it" not in Vanished("MIG-1", 0).text
