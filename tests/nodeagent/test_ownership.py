"""What is ours: only what was written down before it was made; everything else is foreign."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mig.migspec import MigMode, SliceState, Status, StatusGpu, StatusSlice
from nodeagent.gpus.ownership import Entry, entries_from_status, owned_among, settled
from nodeagent.values import Instance
from tests.support.instances import GPU, instance, placed

SLICE = instance("3g.40gb@4+4", gi=1)
ENTRY = Entry(GPU, SLICE.placed)


def test_an_intent_makes_the_instance_at_its_place_ours() -> None:
    """N1: killed after the GI, or after the CI and before the ledger: both are ours; the UUID is learnt."""
    half = replace(SLICE, uuid="")
    assert owned_among([half], [ENTRY]) == {half}
    assert owned_among([SLICE], [ENTRY]) == {SLICE}
    assert settled([ENTRY], {GPU: (SLICE,)}) == {Entry(GPU, SLICE.placed, "MIG-1")}
    assert settled([ENTRY], {GPU: (half,)}) == {ENTRY}


def test_a_slice_completed_anew_stays_ours_under_another_uuid() -> None:
    """N1: killed between destroying CI and GI, and wanted again: the new CI is another MIG device in our GI."""
    before = Entry(GPU, SLICE.placed, "MIG-1")
    halved = settled([before], {GPU: (replace(SLICE, uuid=""),)})
    again = replace(SLICE, uuid="MIG-2")
    assert owned_among([again], halved) == {again}
    assert settled(halved, {GPU: (again,)}) == {Entry(GPU, SLICE.placed, "MIG-2")}


def test_an_intent_without_an_instance_ends() -> None:
    """N1: killed after the intent and before the GI: nothing is left over."""
    assert settled([ENTRY], {GPU: ()}) == frozenset()


def test_a_gpu_that_was_not_read_keeps_its_entries() -> None:
    """Unknown is not empty (invariant 6)."""
    assert settled([ENTRY], {}) == {ENTRY}


def test_another_profile_another_place_or_another_device_is_foreign() -> None:
    """N6: an admin's instance is not ours because it lies where ours lay."""
    entry = Entry(GPU, SLICE.placed, "MIG-1")
    for other in (
        instance("4g.40gb@0+4", gi=1),
        instance("3g.40gb@0+4", gi=1),
        instance("3g.40gb@4+4", gi=1, uuid="MIG-other"),
        replace(SLICE, gpu="GPU-other"),
        replace(SLICE, uuid="", whole=False),
    ):
        assert owned_among([other], [entry]) == frozenset()


@given(st.lists(st.sampled_from(["1g.10gb@0+1", "1g.10gb@1+1", "2g.20gb@2+2", "3g.40gb@4+4"]), unique=True), st.data())
def test_nothing_is_ours_that_no_entry_names(places: list[str], data: st.DataObject) -> None:
    """Whatever lies on the GPU."""
    here: list[Instance] = [instance(text, gi=gi) for gi, text in enumerate(places)]
    ours = data.draw(st.sets(st.sampled_from(places))) if places else set()
    entries = {Entry(GPU, placed(text)) for text in ours}
    assert {item.placed for item in owned_among(here, entries)} == {placed(text) for text in ours}


def test_a_lost_ledger_is_rebuilt_from_our_last_report_of_this_boot() -> None:
    """N12: owned slices and those being made; not foreign ones, not failed ones, nothing of another boot (N8)."""

    def reported(text: str, state: SliceState, uuid: str = "", *, owned: bool = True) -> StatusSlice:
        item = placed(text)
        return StatusSlice(item.window, item.profile, state, uuid, owned)

    slices = (
        reported("1g.10gb@0+1", SliceState.USED, "MIG-a"),
        reported("1g.10gb@1+1", SliceState.CREATING),
        reported("1g.10gb@2+1", SliceState.FAILED),
        reported("3g.40gb@4+4", SliceState.FOREIGN, "MIG-f", owned=False),
    )
    status = Status(1, "boot-1", gpus=(StatusGpu(GPU, 0, "A100", MigMode.ENABLED, 8, slices=slices),))
    assert entries_from_status(status, boot_id="boot-1") == {
        Entry(GPU, placed("1g.10gb@0+1"), "MIG-a"),
        Entry(GPU, placed("1g.10gb@1+1")),
    }
    assert entries_from_status(status, boot_id="boot-2") == frozenset()
    assert entries_from_status(None, boot_id="boot-1") == frozenset()
