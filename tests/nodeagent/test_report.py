"""The report: each slice's state, and conditions that say what to do."""

from dataclasses import replace

import pytest

from mig.migspec import Claim, Condition, Holder, MigMode, SliceState, Spec, SpecGpu, SpecSlice, StatusSlice
from mig.migspec_json import status_from_json, status_to_json
from nodeagent.telling.report import Facts, GpuFacts, status_of, unhealthy
from nodeagent.trouble import SILENT, Trouble
from nodeagent.use.usage import Source, Use
from nodeagent.values import Gpu
from schemas import check
from tests.support.instances import GPU, instance, placed
from tests.support.shapes import shapes

A100 = Gpu(GPU, 0, "NVIDIA A100-SXM4-80GB", MigMode.ENABLED, shapes()["a100-80gb"])
T1, T2 = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
ONE = instance("1g.10gb@0+1", gi=7)


def spec(*places: str) -> Spec:
    """A spec that wants these on our GPU; claims do not matter here."""
    claim = Claim("uid-1", "main", "default", "train")
    wanted = tuple(SpecSlice(placed(text).window, placed(text).profile, claim) for text in places)
    return Spec(3, (SpecGpu(GPU, wanted),))


def facts(gpu: GpuFacts, *places: str, named: bool = True, troubles: tuple[Trouble, ...] = ()) -> Facts:
    """Facts of a node with this GPU."""
    return Facts(spec(*places) if named else Spec(3), 12, "boot-1", "580.95.05", (gpu,), troubles)


def slices(given: Facts) -> list[tuple[SliceState, str]]:
    """State and message of each slice."""
    status = status_of(given, before=(), now=T1)
    return [(item.state, item.message) for item in status.gpus[0].slices]


def only(given: Facts) -> StatusSlice:
    """The one slice of the report."""
    (item,) = status_of(given, before=(), now=T1).gpus[0].slices
    return item


def condition(given: Facts, kind: str) -> Condition:
    """One condition of the report."""
    found = status_of(given, before=(), now=T1).condition(kind)
    assert found is not None
    return found


OURS = GpuFacts(A100, (ONE,), owned=frozenset({7}))


def test_a_wanted_slice_on_its_way_in() -> None:
    """Not there, there but not offered, offered: only the last is Free."""
    assert slices(facts(GpuFacts(A100), "1g.10gb@0+1")) == [(SliceState.CREATING, "")]
    assert only(facts(OURS, "1g.10gb@0+1")).state is SliceState.CREATING
    assert only(facts(replace(OURS, ready=frozenset({7})), "1g.10gb@0+1")).state is SliceState.FREE


def test_a_used_slice_names_its_holder_whether_wanted_or_not() -> None:
    """What is unwanted and used says that it goes with its Pod, and blocks convergence."""
    holder = Holder("default", "train", "uid-1", "main")
    used = replace(OURS, ready=frozenset({7}), uses={7: Use(Source.ASSIGNED, 0.0, holder)})
    assert only(facts(used, "1g.10gb@0+1")).holder == holder
    unwanted = only(facts(used))
    assert (unwanted.state, unwanted.holder) == (SliceState.USED, holder)
    assert "goes when its Pod ends" in unwanted.message
    assert condition(facts(used), "Converged").reason == "Blocked"
    assert condition(facts(used, "1g.10gb@0+1"), "Converged").status == "True"


def test_processes_without_a_pod_are_named() -> None:
    """So that an admin can end them (S9)."""
    item = only(facts(replace(OURS, uses={7: Use(Source.PROCESS, 0.0, None, (4711,))}), "1g.10gb@0+1"))
    assert item.state is SliceState.USED
    assert "processes 4711" in item.message


def test_an_unwanted_slice_on_its_way_out() -> None:
    """Deleting, or blocked by whoever computes there (N2)."""
    assert only(facts(OURS)).state is SliceState.DELETING
    blocked = only(facts(replace(OURS, blocked={7: "somebody still computes there"})))
    assert (blocked.state, blocked.message) == (SliceState.RELEASE_BLOCKED, "somebody still computes there")
    assert condition(facts(OURS), "Converged").reason == "Converging"


def test_a_gpu_that_the_spec_does_not_name_is_reported_as_it_is() -> None:
    """Unknown is not empty: nothing there is called unwanted."""
    ready = replace(OURS, ready=frozenset({7}))
    assert only(facts(ready, named=False)).state is SliceState.FREE
    assert condition(facts(ready, named=False), "Converged").status == "True"


def test_a_foreign_slice_is_said_to_be_left_alone() -> None:
    """N6: it is no obstacle to being converged."""
    foreign = GpuFacts(A100, (ONE,))
    item = only(facts(foreign))
    assert (item.state, item.owned) == (SliceState.FOREIGN, False)
    assert condition(facts(foreign), "Converged").status == "True"


def test_a_slice_that_could_not_be_made_says_why() -> None:
    """N3: with the driver's words, in the slice and in the condition."""
    failed = GpuFacts(A100, failed={placed("1g.10gb@0+1"): "could not be made: Insufficient Resources"})
    assert slices(facts(failed, "1g.10gb@0+1")) == [(SliceState.FAILED, "could not be made: Insufficient Resources")]
    converged = condition(facts(failed, "1g.10gb@0+1"), "Converged")
    assert (converged.reason, converged.status) == ("Failed", "False")
    assert "1g.10gb at 0 of GPU 0" in converged.message


def test_a_gpu_that_is_lost_offers_nothing_and_one_that_is_slow_keeps_what_it_has() -> None:
    """N5 and N7: lost is Failed, so that claims move on; a driver that merely does not answer frees or fails nothing."""
    ready = replace(OURS, ready=frozenset({7}))
    lost = replace(ready, trouble=Trouble("GpuUnavailable", "GPU 0: lost"))
    assert [state for state, _ in slices(facts(lost, "1g.10gb@0+1", "3g.40gb@4+4"))] == [SliceState.FAILED] * 2
    slow = replace(ready, trouble=Trouble(SILENT, "GPU 0: no answer"))
    assert slices(facts(slow, "1g.10gb@0+1", "3g.40gb@4+4")) == [
        (SliceState.FREE, ""),
        (SliceState.CREATING, "GPU 0: no answer"),
    ]
    assert condition(facts(slow), "Healthy").reason == SILENT


def test_a_spec_for_a_gpu_that_is_not_here_is_told() -> None:
    """S6: a GPU was swapped; its entry changes nothing and is not forgotten silently."""
    here = replace(OURS, gpu=replace(A100, uuid="GPU-new"), ready=frozenset({7}))
    converged = condition(facts(here, "1g.10gb@0+1"), "Converged")
    assert (converged.status, converged.reason) == ("False", "Failed")
    assert f"no such GPU here: {GPU}" in converged.message


@pytest.mark.parametrize(
    ("mode", "advice"),
    [(MigMode.DISABLED, "nvidia-smi -i 0 -mig 1"), (MigMode.PENDING_RESET, "nvidia-smi --gpu-reset -i 0")],
)
def test_mig_mode_that_is_not_on_says_what_to_do(mode: MigMode, advice: str) -> None:
    """N5: where slices are wanted."""
    off = GpuFacts(Gpu(GPU, 0, "NVIDIA A100-SXM4-80GB", mode))
    healthy = condition(facts(off, "1g.10gb@0+1"), "Healthy")
    assert (healthy.status, healthy.reason) == ("False", "GpuUnavailable")
    assert advice in healthy.message


def test_a_gpu_without_mig_is_no_trouble_where_nothing_is_wanted() -> None:
    """It is left alone and reported as such."""
    off = GpuFacts(Gpu(GPU, 0, "NVIDIA L4", MigMode.UNSUPPORTED))
    assert condition(facts(off, named=False), "Healthy").status == "True"


def test_the_first_trouble_gives_the_reason_and_all_are_told_once() -> None:
    """The most serious first; what two GPUs say alike is said once."""
    driver = Trouble("DriverUnavailable", "the driver is gone")
    given = facts(replace(OURS, trouble=driver), troubles=(driver, Trouble("KubeletTrouble", "another plugin")))
    healthy = condition(given, "Healthy")
    assert healthy.reason == "DriverUnavailable"
    assert healthy.message == "the driver is gone; another plugin"


def test_a_conditions_time_moves_only_with_its_status() -> None:
    """As Kubernetes counts it."""
    first = status_of(facts(OURS, "1g.10gb@0+1"), before=(), now=T1)
    same = status_of(facts(replace(OURS, waiting={}), "1g.10gb@0+1"), before=first.conditions, now=T2)
    assert [item.last_transition_time for item in same.conditions] == [T1, T1]
    ready = status_of(facts(replace(OURS, ready=frozenset({7})), "1g.10gb@0+1"), before=first.conditions, now=T2)
    assert [item.last_transition_time for item in ready.conditions] == [T2, T1]


def test_before_the_hardware_was_read_the_last_report_stays_but_for_its_health() -> None:
    """N4: a missing driver does not make slices vanish from the report."""
    last = status_of(facts(replace(OURS, ready=frozenset({7})), "1g.10gb@0+1"), before=(), now=T1)
    now = unhealthy(last, Trouble("DriverUnavailable", "no driver"), now=T2)
    assert now.gpus == last.gpus
    assert now.observed_generation == last.observed_generation
    healthy = now.condition("Healthy")
    assert healthy is not None
    assert (healthy.status, healthy.message, healthy.last_transition_time) == ("False", "no driver", T2)


def test_reports_keep_to_the_schema_and_survive_the_way_through_json() -> None:
    """However long a message gets."""
    given = facts(
        replace(OURS, failed={placed("3g.40gb@4+4"): "x" * 100_000}), "1g.10gb@0+1", "3g.40gb@4+4", "2g.20gb@2+2"
    )
    status = status_of(given, before=(), now=T1)
    document = {"spec": {"leaderEpoch": 3}, "status": status_to_json(status)}
    assert check("migspec", document) == []
    assert status_from_json(status_to_json(status)) == status


@pytest.mark.parametrize(("reason", "told"), [("GpuUnavailable", True), (SILENT, True), ("InvalidSpec", False)])
def test_a_gpu_that_does_not_answer_is_marked_so_that_nothing_new_is_placed_there(reason: str, *, told: bool) -> None:
    """N5, N7: per GPU, so that the others are placed on; a wrong spec is no fault of the GPU, and mends itself."""
    trouble = Trouble(reason, "GPU 0: fell off the bus")
    (gpu,) = status_of(facts(replace(OURS, trouble=trouble)), before=(), now=T1).gpus
    assert gpu.trouble == (trouble.message if told else "")
