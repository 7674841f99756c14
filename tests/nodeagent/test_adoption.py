"""Which foreign slices an annotation of the Node asks us to take over."""

from dataclasses import replace

import pytest

from mig.migspec import MigMode
from nodeagent.gpus.adoption import NOTHING, adoption_from_annotation, misunderstandings, to_adopt, unadoptable
from nodeagent.gpus.plan import View, plan
from nodeagent.values import Gpu
from tests.support.instances import GPU, instance, placed
from tests.support.shapes import shapes

A100 = shapes()["a100-80gb"]
OURS, THEIRS, OTHER = instance("1g.10gb@0+1", gi=7), instance("1g.10gb@1+1", gi=8), instance("1g.10gb@2+1", gi=9)
CUT = replace(instance("2g.20gb@4+2", gi=3), uuid="", whole=False)
HALF = replace(instance("1g.10gb@3+1", gi=10), uuid="")
EVERYTHING = (OURS, THEIRS, OTHER, CUT, HALF)
OWNED = frozenset({7})


@pytest.mark.parametrize(
    ("value", "adopted"),
    [
        ("", []),
        (" , ", []),
        ("true", []),
        ("ALL", []),
        ("all", [8, 9]),
        (" all ,nonsense", [8, 9]),
        (GPU, [8, 9]),
        (THEIRS.uuid, [8]),
        (f"{THEIRS.uuid},\n{OTHER.uuid}", [8, 9]),
        (OURS.uuid, []),
        ("GPU-elsewhere", []),
        ("MIG-", []),
    ],
)
def test_what_an_annotation_adopts(value: str, adopted: list[int]) -> None:
    """Never what is ours already, never what is cut otherwise, never for a word that means nothing."""
    found = to_adopt(adoption_from_annotation(value), EVERYTHING, OWNED, [placed("1g.10gb@5+1")])
    assert [item.gi for item in found] == adopted


def test_an_instance_without_compute_instance_is_adopted_where_the_spec_wants_one_like_it() -> None:
    """It is completed there; elsewhere its maker may be about to, and ours would be destroyed: it is left alone, and said."""
    everything = adoption_from_annotation("all")
    assert HALF in to_adopt(everything, EVERYTHING, OWNED, [HALF.placed])
    assert HALF not in to_adopt(everything, EVERYTHING, OWNED, [placed("1g.10gb+me@3+1"), placed("2g.20gb@2+2")])
    assert HALF not in to_adopt(NOTHING, EVERYTHING, OWNED, [HALF.placed])
    assert CUT not in to_adopt(everything, EVERYTHING, OWNED, [CUT.placed])


def test_what_cannot_be_handed_out_says_why_where_it_is_asked_for() -> None:
    """And says nothing where nobody asked for it."""
    said = unadoptable(adoption_from_annotation("all"), EVERYTHING, OWNED)
    assert sorted(said) == [3, 10]
    assert "cut into other compute instances" in said[3]
    assert "taken over once one fills it" in said[10]
    assert unadoptable(NOTHING, EVERYTHING, OWNED) == {}


def test_an_admin_hears_what_nobody_understood_once_each() -> None:
    """A typing error must not look like success."""
    gpus = [(Gpu(GPU, 0, "A100", MigMode.ENABLED, A100), EVERYTHING)]
    assert misunderstandings(adoption_from_annotation(f"all,{GPU},{OURS.uuid}"), gpus) == ()
    words, strangers = misunderstandings(adoption_from_annotation("yes,yes,MIG-x,GPU-y,no"), gpus)
    assert "'yes', 'no' adopts nothing" in words
    assert strangers.endswith("GPU-y, MIG-x")


@pytest.mark.parametrize(
    ("wanted", "kept", "removed"),
    [
        ([], [8], [10]),
        (["1g.10gb@1+1"], [], [10]),
        (["2g.20gb@0+2"], [], [8, 10]),
        (["3g.40gb@4+4"], [8], [10]),
        (["7g.80gb@0+8"], [], [8, 10]),
        (["1g.10gb@3+1"], [8], []),
    ],
    ids=["nothing", "itself", "its room", "elsewhere", "everything", "the half-made one"],
)
def test_an_adopted_slice_stays_until_the_spec_has_it_or_needs_its_room(
    wanted: list[str], kept: list[int], removed: list[int]
) -> None:
    """A half-made one is of use to nobody before it is wanted."""
    spared = frozenset({8, 10})
    view = View(A100, tuple(map(placed, wanted)), (THEIRS, HALF), owned=spared, spared=spared)
    done = plan(view)
    assert (sorted(done.kept), [item.gi for item in done.remove]) == (kept, removed)
    used = plan(replace(view, used=frozenset({8})))
    assert 8 not in [item.gi for item in used.remove]
