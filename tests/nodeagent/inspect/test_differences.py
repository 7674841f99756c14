"""Where the sources differ on a slice, and what is said of it: each disagreement alone, everything else in agreement."""

from dataclasses import replace

import pytest

from mig.migspec import Claim, Holder, SliceState
from nodeagent.gpus.ledger import Stored
from nodeagent.gpus.ownership import Entry
from nodeagent.inspection.join import inspect
from nodeagent.inspection.values import Holding, Sources
from nodeagent.kubelet.counts import Counts
from nodeagent.pods import PodView
from tests.support.inspecting import (
    AGREED,
    CLAIM,
    FREE,
    HELD,
    HOLDER,
    NOTHING,
    ONE,
    PLACE,
    RESOURCE,
    USED,
    driver,
    migspec,
    only,
    reported,
    said,
)
from tests.support.instances import GPU, instance

GONE = replace(AGREED, driver=driver(), offered={}, counts=Counts())
UNNAMED = Stored("boot-1")
FOREIGN = replace(AGREED, ledger=UNNAMED, offered={}, counts=Counts())
OTHER = Holder("default", "other", "uid-2", "main")


@pytest.mark.parametrize("sources", [AGREED, HELD, NOTHING], ids=["free", "used by its claimant", "empty"])
def test_sources_that_agree_are_told_to(sources: Sources) -> None:
    """Nothing is made up."""
    inspection = inspect(sources)
    assert said(inspection) == ""
    assert inspection.exit_status == 0


CASES = {
    "destroyed behind the agent's back": (
        GONE,
        "reported Free and gone from the GPU: somebody destroyed it behind the agent's back",
    ),
    "could not be made": (
        replace(GONE, migspec=migspec(reported(SliceState.FAILED, uuid="", message="no power"))),
        "could not be made: no power",
    ),
    "being made": (
        replace(GONE, migspec=migspec(reported(SliceState.CREATING, uuid=""))),
        "not there yet: being made",
    ),
    "spec not answered": (
        replace(GONE, migspec=migspec(answered=11), ledger=UNNAMED),
        "wanted and not there; the agent has not answered this spec",
    ),
    "wish not reported": (replace(AGREED, migspec=migspec(answered=11)), "the report answers generation 11"),
    "reported, gone, not wanted": (
        replace(NOTHING, migspec=migspec(FREE, wanted=False)),
        "reported Free and gone from the GPU",
    ),
    "foreign in our place": (
        replace(FOREIGN, migspec=migspec(reported(SliceState.FOREIGN))),
        "it is left alone. Destroy it with nvidia-smi mig -i 0 -gi 7 -dci, then -dgi; or annotate the Node nos.nebuly.com/adopt",
    ),
    "made anew by another in our place": (
        replace(
            FOREIGN,
            migspec=migspec(reported(SliceState.FOREIGN)),
            ledger=Stored("boot-1", frozenset({Entry(GPU, PLACE, "MIG-two")})),
        ),
        "not ours (the ledger names another one)",
    ),
    "offered and gone": (replace(AGREED, driver=driver()), "the kubelet would hand it out although it is gone"),
    "offered by others": (
        replace(FOREIGN, migspec=migspec(reported(SliceState.FOREIGN), wanted=False), offered=AGREED.offered),
        "another device plugin offers it; switch it off",
    ),
    "free and not offered": (
        replace(AGREED, offered={}, counts=Counts()),
        "reported Free, and the kubelet does not offer it",
    ),
    "computed on": (replace(AGREED, driver=driver(ONE, pids=(41, 42))), "processes 41, 42 compute there"),
    "another slice than reported": (
        replace(AGREED, driver=driver(instance("1g.10gb@0+1", gi=7, uuid="MIG-new"))),
        "another slice than the one that is reported here, MIG-one",
    ),
    "ours by the ledger alone": (
        replace(AGREED, migspec=migspec(reported(SliceState.FOREIGN))),
        "ours by the ledger and foreign by the report",
    ),
    "half-made": (
        replace(AGREED, driver=driver(instance("1g.10gb@0+1", gi=7, uuid=""))),
        "a GPU instance without its compute instance",
    ),
    "not wanted and used": (
        replace(HELD, migspec=migspec(USED, wanted=False)),
        "not wanted any more; it goes when default/train ends",
    ),
    "not wanted and blocked": (
        replace(
            AGREED, migspec=migspec(reported(SliceState.RELEASE_BLOCKED, message="somebody computes"), wanted=False)
        ),
        "not wanted any more: somebody computes",
    ),
    "not reported": (replace(AGREED, migspec=migspec()), "on the GPU and not in the report"),
    "left over in the ledger": (
        replace(NOTHING, ledger=AGREED.ledger),
        "in the ledger, and neither wanted nor there",
    ),
    "free and held": (replace(HELD, migspec=migspec(FREE)), "reported Free, and the kubelet gave it to default/train"),
    "held by another": (
        replace(
            HELD,
            pods={"uid-2": PodView("default", "other", "uid-2")},
            holdings=(Holding("uid-2", "main", "MIG-one"),),
        ),
        "the kubelet gave it to default/other, the report says default/train",
    ),
    "claimed by another": (
        replace(HELD, migspec=migspec(USED, claim=Claim("uid-9", "main", "default", "nine"))),
        "claimed for default/nine, and default/train has it",
    ),
}


@pytest.mark.parametrize(("sources", "words"), CASES.values(), ids=CASES)
def test_a_difference_is_said_in_words(sources: Sources, words: str) -> None:
    """And the exit status is 1."""
    inspection = inspect(sources)
    assert words in said(inspection)
    assert inspection.exit_status == 1


QUIET = {
    "a foreign slice that NVIDIA's plugin offers, where it is meant to": replace(
        FOREIGN,
        migspec=migspec(reported(SliceState.FOREIGN), wanted=False),
        offered=AGREED.offered,
        counts=AGREED.counts,
        beside_nvidia=True,
    ),
    "a foreign slice that nobody wants": replace(
        FOREIGN, migspec=migspec(reported(SliceState.FOREIGN), wanted=False), driver=driver(ONE, pids=(9,))
    ),
    "a device of a Pod that is gone": replace(HELD, migspec=migspec(FREE, claim=CLAIM), pods={}),
    "a device of a Pod that has finished": replace(
        HELD,
        migspec=migspec(FREE),
        pods={"uid-1": PodView("default", "train", "uid-1", finished=True)},
    ),
    "a holder whom the kubelet has forgotten": replace(HELD, holdings=()),
    "a slice on its way out is not counted": replace(
        AGREED, counts=Counts({RESOURCE: 1}, {RESOURCE: 0}), migspec=migspec(reported(SliceState.DELETING), wanted=True)
    ),
}


@pytest.mark.parametrize("sources", QUIET.values(), ids=QUIET)
def test_what_is_as_it_may_be_is_no_difference(sources: Sources) -> None:
    """Or the exit status would mean nothing."""
    assert said(inspect(sources)) == ""


def test_a_row_that_differs_twice_says_both() -> None:
    """The more serious first."""
    row = only(replace(HELD, driver=driver(), migspec=migspec(USED, claim=Claim("uid-9", "main", "default", "nine"))))
    assert [text.split(",")[0][:20] for text in row.differences] == [
        "reported Used and go",
        "the kubelet would ha",
        "claimed for default/",
    ]


def test_the_holder_behind_a_claim_is_no_other() -> None:
    """A holder whose uid nobody knows is not called a stranger."""
    unknown = replace(HOLDER, uid="")
    assert said(inspect(replace(HELD, migspec=migspec(replace(USED, holder=unknown), claim=CLAIM)))) == ""
    assert "the report says default/other" in said(inspect(replace(HELD, migspec=migspec(replace(USED, holder=OTHER)))))
