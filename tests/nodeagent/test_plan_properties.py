"""Plans on random GPUs: they spare what they must, never need room that is not there, and lead to the spec."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mig.occupancy import Placed, moves
from mig.placements import GpuShape
from nodeagent.gpus.plan import plan
from tests.support.instances import ModelGpu
from tests.support.shapes import shapes

MODELS = sorted(shapes())


def layout(draw: st.DrawFn, shape: GpuShape) -> tuple[Placed, ...]:
    """A random set of slices that such a GPU can hold."""
    items: list[Placed] = []
    for _ in range(draw(st.integers(0, 7))):
        options = sorted(moves(shape, items))
        if not options:
            break
        items.append(draw(st.sampled_from(options)))
    return tuple(items)


@st.composite
def situations(draw: st.DrawFn) -> tuple[ModelGpu, tuple[Placed, ...]]:
    """A GPU with owned, foreign, used and half-made instances, and a spec that such a GPU can hold."""
    shape = shapes()[draw(st.sampled_from(MODELS))]
    gpu = ModelGpu(shape)
    for item in layout(draw, shape):
        kind = draw(st.sampled_from(["owned", "used", "foreign", "half-made"]))
        gi = gpu.put(item, whole=kind != "half-made")
        if kind != "foreign":
            gpu.owned.add(gi)
        if kind == "used":
            gpu.used.add(gi)
    return gpu, layout(draw, shape)


@settings(max_examples=300, deadline=None)
@given(situations())
def test_plans_end_and_never_touch_what_is_used_or_foreign(situation: tuple[ModelGpu, tuple[Placed, ...]]) -> None:
    """Carried out again and again, plans come to an end; the model refuses any step that harms or has no room (N3, N6)."""
    gpu, wanted = situation
    spared = {gi: item for gi, item in gpu.instances.items() if gi not in gpu.owned or gi in gpu.used}
    for _ in range(20):
        todo = plan(gpu.view(wanted))
        if todo.empty:
            break
        gpu.apply(todo)
    assert plan(gpu.view(wanted)).empty
    assert all(gpu.instances[gi] == item for gi, item in spared.items())


@settings(max_examples=300, deadline=None)
@given(situations())
def test_the_spec_is_reached_where_nobody_stands_in_the_way(situation: tuple[ModelGpu, tuple[Placed, ...]]) -> None:
    """What is not there in the end is waiting, and names somebody who is used or foreign; without those, all is there."""
    gpu, wanted = situation
    for _ in range(20):
        gpu.apply(plan(gpu.view(wanted)))
    last = plan(gpu.view(wanted))
    ours = {item.placed for gi, item in gpu.instances.items() if gi in gpu.owned and not item.half_made}
    assert set(wanted) - ours == set(last.waiting)
    in_the_way = bool(gpu.used) or any(gi not in gpu.owned for gi in gpu.instances)
    assert in_the_way or set(wanted) == ours


@settings(max_examples=200, deadline=None)
@given(situations())
def test_where_spec_and_hardware_agree_there_is_no_step(situation: tuple[ModelGpu, tuple[Placed, ...]]) -> None:
    """A GPU that holds exactly what is wanted is left alone, whoever uses what."""
    gpu, _ = situation
    gpu.owned = set(gpu.instances)
    gpu.instances = {gi: item for gi, item in gpu.instances.items() if not item.half_made}
    wanted = tuple(item.placed for item in gpu.instances.values())
    assert plan(gpu.view(wanted)).empty
