"""The timeline notes the first moment of each step, in whatever order versions arrive."""

from typing import Any

from demo.timeline import Step, Timeline
from mig.migspec import Claim, MigMode, MigSpec, SliceState, Spec, SpecGpu, SpecSlice, Status, StatusGpu, StatusSlice
from mig.placements import Window
from mig.profiles import parse_profile

ONE = parse_profile("1g.10gb")


def pod(*, gated: bool = True, node: str = "", phase: str = "Pending", message: str = "") -> dict[str, Any]:
    condition = {"type": "nos.nebuly.com/MigAllocated", "reason": "Full", "message": message}
    return {
        "metadata": {
            "name": "p",
            "namespace": "d",
            "uid": "u",
            "annotations": {"nos.nebuly.com/mig-request": "garbage"},
        },
        "spec": {"schedulingGates": [{"name": "nos.nebuly.com/mig"}] if gated else [], "nodeName": node},
        "status": {"phase": phase, "conditions": [condition] if message else [], "message": "no device"},
    }


def migspec(state: SliceState, *, observed: int) -> MigSpec:
    placed = SpecSlice(Window(0, 1), ONE, Claim("u", "main", "d", "p"))
    report = StatusGpu("G", 0, "A100", MigMode.ENABLED, 8, (), (StatusSlice(Window(0, 1), ONE, state, "MIG-1"),))
    return MigSpec("n", "m", 3, "1", Spec(1, (SpecGpu("G", (placed,)),)), Status(observed, gpus=(report,)))


def test_every_step_is_marked_once_with_its_first_moment() -> None:
    timeline = Timeline()
    timeline.submitted("d", "p", 1.0)
    timeline.pod_seen(pod(), 1.5)
    timeline.migspec_seen(migspec(SliceState.CREATING, observed=3), 2.0)
    timeline.migspec_seen(migspec(SliceState.FREE, observed=3), 3.0)
    timeline.pod_seen(pod(gated=False), 4.0)
    timeline.pod_seen(pod(gated=False, node="n"), 5.0)
    timeline.pod_seen(pod(gated=False, node="n", phase="Running"), 6.0)
    timeline.pod_seen(pod(gated=False, node="n", phase="Running"), 7.0)
    track = timeline.named("p", "d")
    assert track is not None
    assert list(track.steps.values()) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert track.seconds(Step.RUNNING) == 5.0
    assert track.profiles == {}


def test_a_report_older_than_the_claim_makes_nothing_ready() -> None:
    """S11."""
    timeline = Timeline()
    timeline.pod_seen(pod(), 1.0)
    timeline.migspec_seen(migspec(SliceState.FREE, observed=2), 2.0)
    track = timeline.named("p", "d")
    assert track is not None
    assert Step.READY not in track.steps


def test_a_failed_pod_is_shown_with_what_the_kubelet_said() -> None:
    timeline = Timeline()
    timeline.pod_seen(pod(message="waits"), 1.0)
    track = timeline.named("p", "d")
    assert track is not None
    assert (track.reason, track.message) == ("Full", "waits")
    timeline.pod_seen(pod(gated=False, node="n", phase="Failed"), 2.0)
    assert track.message == "no device"
