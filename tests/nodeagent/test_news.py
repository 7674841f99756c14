"""What is worth an Event: each thing once, when it comes, when it changes and when it is over."""

from dataclasses import replace
from typing import Any

import pytest

from mig.migspec import Holder
from mig.occupancy import Placed
from nodeagent.gpus.vanished import Vanished
from nodeagent.telling.news import About, GpuKnown, Known, News, news_between
from nodeagent.trouble import Trouble
from nodeagent.use.usage import Source, Use
from tests.support.instances import placed

LOST = Trouble("GpuUnavailable", "GPU 0 (GPU-a): it fell off the bus; reboot the node")
FIRST = placed("1g.10gb@0+1")
POD = Holder("default", "static", "uid-1")


def gpu(*foreign: str, **more: Any) -> Known:
    """One GPU that was read."""
    return Known(gpus={"GPU-a": GpuKnown(0, frozenset(placed(each) for each in foreign), **more)})


def vanished(*places: str, at: float = 1.0, by: Holder | None = None) -> dict[Placed, Vanished]:
    """Slices that went behind our back."""
    use = Use(Source.ASSIGNED, at, by) if by else None
    return {placed(each): Vanished(f"MIG-{each[0]}", at, use) for each in places}


def reasons(before: Known, now: Known) -> list[str]:
    """The news in short."""
    return [item.reason for item in news_between(before, now)]


def test_nothing_new_is_no_news() -> None:
    known = replace(
        gpu("1g.10gb@1+1", blocked={FIRST: "in use"}), troubles={"GPU 0": LOST}, leaving=True, lost_at_boot=2
    )
    assert news_between(known, known) == []


def test_what_was_there_at_the_start_is_no_news() -> None:
    """Foreign instances that the first reading shows."""
    assert news_between(Known(), gpu("1g.10gb@1+1")) == []


@pytest.mark.parametrize(
    ("subject", "trouble", "about", "over"),
    [
        ("driver", Trouble("DriverUnavailable", "no library"), About.NODE, "DriverAvailable"),
        ("GPU 0", LOST, About.NODE, "GpuAvailable"),
        ("kubelet", Trouble("KubeletUnavailable", "no socket"), About.NODE, "KubeletAvailable"),
        ("spec", Trouble("InvalidSpec", "generation 3 has the epoch 1"), About.MIGSPEC, "SpecAccepted"),
        ("spec of GPU 0", Trouble("InvalidSpec", "no profile 9g"), About.MIGSPEC, "SpecAccepted"),
        ("spec of GPU-b", Trouble("UnknownGpu", "no such GPU"), About.MIGSPEC, "SpecAccepted"),
        ("other device plugin", Trouble("OtherDevicePlugin", "switch it off"), About.NODE, "DevicePluginAlone"),
        ("kubelet's side", Trouble("KubeletTrouble", "cannot publish"), About.NODE, "KubeletInOrder"),
        ("state folder", Trouble("StateFolderUnusable", "read-only"), About.NODE, "StateFolderUsable"),
    ],
)
def test_a_trouble_is_told_when_it_comes_and_when_it_is_over(
    subject: str, trouble: Trouble, about: About, over: str
) -> None:
    """As a warning with the very words of the condition; its end is none."""
    (came,) = news_between(Known(), Known(troubles={subject: trouble}))
    assert came == News(about, trouble.reason, trouble.message)
    (went,) = news_between(Known(troubles={subject: trouble}), Known())
    assert (went.about, went.reason, went.warning) == (about, over, False)


def test_a_trouble_whose_words_change_is_no_news_but_another_reason_is() -> None:
    before = Known(troubles={"GPU 0": LOST})
    reworded = Known(troubles={"GPU 0": replace(LOST, message="GPU 0 (GPU-a): still lost")})
    assert reasons(before, reworded) == []
    assert reasons(before, Known(troubles={"GPU 0": Trouble("DriverSilent", "no answer")})) == ["DriverSilent"]


def test_another_fault_of_the_spec_is_news() -> None:
    """S5: whoever edits by hand sees the answer to each edit."""
    before = Known(troubles={"spec of GPU 0": Trouble("InvalidSpec", "no profile 9g.99gb")})
    now = Known(troubles={"spec of GPU 0": Trouble("InvalidSpec", "no profile 8g.88gb")})
    assert reasons(before, now) == ["InvalidSpec"]


def test_slices_that_vanish_behind_our_back_are_told_with_who_had_them() -> None:
    """N6: once each time."""
    lost = vanished("1g.10gb@0+1") | vanished("3g.40gb@4+4", by=POD)
    (item,) = news_between(gpu(), gpu(vanished=lost))
    assert (item.about, item.reason) == (About.MIGSPEC, "SliceVanished")
    assert "1g.10gb at 0, 3g.40gb at 4 of GPU 0: gone, and not by us" in item.note
    assert "used by Pod default/static, which cannot go on: delete such Pods" in item.note
    assert news_between(gpu(vanished=lost), gpu(vanished=vanished("1g.10gb@0+1"))) == []
    again = vanished("1g.10gb@0+1", at=60.0)
    assert reasons(gpu(vanished=lost), gpu(vanished=again)) == ["SliceVanished"]


def test_slices_that_vanished_while_no_agent_ran_are_told_at_the_start() -> None:
    assert reasons(Known(), gpu("7g.80gb@0+8", vanished=vanished("1g.10gb@0+1"))) == ["SliceVanished"]


def test_an_instance_that_somebody_else_made_is_told() -> None:
    """N6."""
    (item,) = news_between(gpu(), gpu("2g.20gb@2+2"))
    assert (item.about, item.reason) == (About.MIGSPEC, "ForeignSlice")
    assert "2g.20gb at 2 of GPU 0 was not made by us" in item.note


def test_a_slice_that_the_driver_does_not_let_go_of_is_told_once() -> None:
    """N2: not at every try."""
    stuck = gpu(blocked={FIRST: "somebody still computes there; tried 3 times"})
    (item,) = news_between(gpu(), stuck)
    assert item.reason == "ReleaseBlocked"
    assert "1g.10gb at 0 of GPU 0 cannot be taken away: somebody still computes there" in item.note
    assert news_between(stuck, gpu(blocked={FIRST: "somebody still computes there; tried 4 times"})) == []


def test_a_reboot_is_told_with_what_went_with_it() -> None:
    """N8."""
    (item,) = news_between(Known(), Known(lost_at_boot=3))
    assert (item.about, item.reason) == (About.NODE, "NodeRebooted")
    assert "3 slices went with it" in item.note


def test_a_pod_that_came_round_the_webhook_is_told_on_the_pod_and_on_the_migspec() -> None:
    """W8, invariant 8."""
    now = Known(uninvited={POD.uid: (POD, "the slice 1g.10gb at 0 of GPU 0")})
    on_pod, on_migspec = news_between(Known(), now)
    assert (on_pod.about, on_pod.pod, on_pod.reason) == (About.POD, POD, "MigSliceWithoutClaim")
    assert (on_migspec.about, on_migspec.pod) == (About.MIGSPEC, None)
    assert "Pod default/static" in on_migspec.note


def test_that_the_agent_leaves_is_told_once() -> None:
    (item,) = news_between(Known(), Known(leaving=True))
    assert (item.about, item.reason, item.warning) == (About.NODE, "AgentLeaving", False)


def test_many_slices_do_not_make_a_long_event() -> None:
    many = {placed(f"1g.10gb@{number}+1"): Vanished(f"MIG-{number}", 1.0) for number in range(12)}
    (item,) = news_between(gpu(), gpu(vanished=many))
    assert "and 4 more" in item.note
    assert len(item.note) < 1024
