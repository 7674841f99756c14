"""Fleets for tests of placement: nodes and GPUs by hand, and drawn ones with foreign slices, media engines and warm slices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count, pairwise
from typing import Final

from hypothesis import strategies as st

from allocator.placement.fleet import GpuView, NodeFacts, NodeView, Resources, Wish
from allocator.placement.mix import Mix
from allocator.placement.policy import Fgd, Policy, Tiny, Tuned
from mig.demand import Need
from mig.geometries import ANYTHING, Geometries, parse_geometries
from mig.occupancy import Placed, first_fault, moves
from mig.placements import GpuShape, Window
from mig.profiles import Profile, parse_profile
from tests.support.shapes import shapes

HANDED_OVER: Final = {"nos.nebuly.com/gpu-partitioning": "mig"}
WHOLE: Final = Resources(8000, 2**34, 110)
MODELS: Final = ("a100-80gb", "a100-80gb", "h100-80gb", "a100-40gb", "a30-24gb", "rtx-pro-6000-96gb")
"""The first three have one space unless geometries narrow it; the 40 GB card has a `1g.10gb`, too, of another size."""
POLICIES: Final[tuple[Policy, ...]] = (Tuned(), Tiny(), Fgd())
MIXES: Final = (
    Mix(),
    Mix(((parse_profile("1g.10gb"), 300.0), (parse_profile("1g.10gb+me"), 40.0), (parse_profile("2g.20gb"), 90.0))),
    Mix(((parse_profile("1g.6gb"), 200.0), (parse_profile("4g.40gb"), 100.0), (parse_profile("7g.80gb"), 200.0))),
)

NARROW: Final = parse_geometries(
    [
        {
            "models": ["a100-80gb"],
            "allowedGeometries": [
                {"3g.40gb": 2},
                {"1g.10gb": 3, "3g.40gb": 1},
                {"1g.10gb+me": 1, "1g.10gb": 2, "2g.20gb": 1},
            ],
        },
        {"models": ["a30-24gb"], "allowedGeometries": [{"1g.6gb": 2, "2g.12gb": 1}, {"4g.24gb": 1}]},
        {"models": ["rtx-pro-6000-96gb"], "allowedGeometries": [{"1g.24gb": 2, "2g.48gb": 1}, {"2g.48gb+gfx": 2}]},
    ]
)
HALF_NARROW: Final = parse_geometries(
    [{"models": ["a100-80gb"], "allowedGeometries": [{"1g.10gb": 7}, {"3g.40gb": 2}]}]
)
GEOMETRIES: Final = (ANYTHING, NARROW, HALF_NARROW)


def profile(name: str) -> Profile:
    """By its name."""
    return parse_profile(name)


def at(name: str, start: int, model: str = "a100-80gb") -> Placed:
    """A slice that the model offers."""
    offer = shapes()[model].by_profile[parse_profile(name)]
    return Placed(Window(start, offer.size), offer.profile)


def gpu(uuid: str, model: str = "a100-80gb", *, fixed: Iterable[Placed] = (), warm: Iterable[Placed] = ()) -> GpuView:
    """A GPU whose product name is its model's id."""
    return GpuView(uuid, model, shapes()[model], tuple(fixed), tuple(warm))


def node(
    name: str,
    *gpus: GpuView,
    labels: Mapping[str, str] | None = None,
    free: Resources = WHOLE,
) -> NodeView:
    """A node that is handed over and Ready."""
    facts = NodeFacts(name, f"uid-{name}", {**HANDED_OVER, **(labels or {})}, (), True, False, WHOLE)
    return NodeView(facts, free, gpus)


def wish(*profiles: str | Profile) -> Wish:
    """A Pod of one container a slice."""
    needs = (Need(parse_profile(str(name)), (f"c{index}",)) for index, name in enumerate(profiles))
    return Wish("uid", "default", "pod", tuple(needs))


@st.composite
def layouts(draw: st.DrawFn, shape: GpuShape, most: int = 6) -> tuple[Placed, ...]:
    """Slices that can lie on a GPU together."""
    placed: list[Placed] = []
    for _ in range(draw(st.integers(0, most))):
        choices = list(moves(shape, placed))
        if not choices:
            break
        placed.append(draw(st.sampled_from(choices)))
    return tuple(placed)


@st.composite
def gpus(draw: st.DrawFn, models: Sequence[str], uuid: str) -> GpuView:
    """A GPU with slices in use and warm ones, now and then with a foreign one of a profile that nobody knows."""
    model = draw(st.sampled_from(models))
    shape = shapes()[model]
    laid = draw(layouts(shape))
    warm = draw(st.sets(st.sampled_from(laid))) if laid else set[Placed]()
    fixed = tuple(item for item in laid if item not in warm)
    if draw(st.integers(0, 9)) == 0:
        fixed += tuple(_strange(shape, laid))
    return GpuView(uuid, model, shape, fixed, tuple(item for item in laid if item in warm))


def _strange(shape: GpuShape, laid: Iterable[Placed]) -> Iterable[Placed]:
    """A foreign slice in the first free memory slice, at a start and with a name that the driver does not offer."""
    taken = {place for item in laid for place in range(item.window.start, item.window.end)}
    free = next((place for place in range(shape.width) if place not in taken), None)
    return () if free is None else (Placed(Window(free, 1), parse_profile("1g.99gb")),)


@st.composite
def fleets(
    draw: st.DrawFn, *, models: Sequence[str] = MODELS, most_nodes: int = 3, most_gpus: int = 3
) -> tuple[NodeView, ...]:
    """Nodes with different room, in any order of names, some of them alike."""
    names = draw(st.permutations([f"n{index}" for index in range(draw(st.integers(1, most_nodes)))]))
    born = count()
    return tuple(
        node(
            name,
            *(draw(gpus(models, f"GPU-{next(born)}")) for _ in range(draw(st.integers(1, most_gpus)))),
            free=replace(WHOLE, milli_cpu=draw(st.sampled_from((8000, 4000)))),
        )
        for name in names
    )


def offered(fleet: Iterable[NodeView]) -> list[Profile]:
    """Every profile that some GPU has."""
    return sorted({name for view in fleet for item in view.gpus for name in item.shape.by_profile})


def is_possible(view: GpuView) -> bool:
    """Whether the hardware can hold what is on a GPU; a foreign slice of unknown profile counts for its room alone."""
    everything = (*view.fixed, *view.warm)
    known = [item for item in everything if item.profile in view.shape.by_profile]
    windows = sorted(item.window for item in everything)
    apart = all(left.end <= right.start for left, right in pairwise(windows))
    return apart and first_fault(view.shape, known) is None


def is_allowed(view: GpuView, geometries: Geometries) -> bool:
    """Whether the allowed geometries hold what is on a GPU."""
    return geometries.allow(view.model, (item.profile for item in (*view.fixed, *view.warm)))


def shown(fleet: Iterable[NodeView]) -> str:
    """A fleet in few words, for the report of a failed test."""
    return "; ".join(f"{view.name} (room {view.room}): {', '.join(map(_shown, view.gpus))}" for view in fleet)


def _shown(view: GpuView) -> str:
    held, free = (" ".join(f"{it.profile}@{it.window.start}" for it in items) for items in (view.fixed, view.warm))
    return f"{view.uuid} {view.model} [{held}] warm [{free}]"
