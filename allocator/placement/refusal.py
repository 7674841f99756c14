"""The sharpest true reason why a Pod gets no slice now.

Asks "and if the nodes fitted?" and "and if the geometries allowed everything?", so that a reason is never a guess.
The message goes to the user: it names the profiles that exist, the nodes that do not fit and why, or what would have to end.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from allocator.placement.fleet import GpuView, NodeView, Reason, Wish
from mig.occupancy import occupied
from mig.profiles import Profile

Question = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no place was found, for the Pod's condition and Events."""

    reason: Reason
    message: str


def refuse(
    wish: Wish,
    nodes: Sequence[NodeView],
    *,
    misfits: Mapping[str, str | None],
    without_geometries: Question,
    without_failures: Question,
    elsewhere: Question,
) -> Refusal:
    """Why a Pod found no place on the nodes without a misfit.

    The questions are asked only where their answer matters: whether there were a place if the geometries allowed everything, if
    nothing had failed lately, and on the nodes that do not fit.
    """
    absent = _absent_profiles(wish, nodes)
    if absent:
        return Refusal(Reason.NO_SUCH_PROFILE, _no_such_profile(absent, nodes))
    fitting = [node for node in nodes if misfits[node.name] is None]
    if not fitting:
        return Refusal(
            Reason.NO_NODE_FITS, f"0 of {len(nodes)} nodes with MIG GPUs can take the Pod: {_counted(misfits)}"
        )
    if without_geometries():
        return Refusal(
            Reason.GEOMETRY_FORBIDS,
            f"{_wanted(wish)} would fit, but gpuPartitioner.knownMigGeometries does not allow it beside what runs",
        )
    if without_failures():
        return Refusal(
            Reason.FULL,
            f"the only places left for {_wanted(wish)} failed a moment ago; they are tried again within 30 s",
        )
    refusal = _no_room(wish, fitting)
    if len(fitting) == len(nodes) or not elsewhere():
        return refusal
    return replace(
        refusal, message=f"{refusal.message}; nodes that the Pod cannot run on have room: {_counted(misfits)}"
    )


def _absent_profiles(wish: Wish, nodes: Iterable[NodeView]) -> tuple[Profile, ...]:
    offered = _offered(nodes)
    return tuple(sorted({need.profile for need in wish.needs} - offered))


def _offered(nodes: Iterable[NodeView]) -> set[Profile]:
    return {profile for node in nodes for gpu in node.gpus for profile in gpu.shape.by_profile}


def _no_such_profile(absent: Iterable[Profile], nodes: Sequence[NodeView]) -> str:
    names = ", ".join(map(str, absent))
    if not nodes:
        return f"no node is handed over; label one: kubectl label nodes <node> nos.nebuly.com/gpu-partitioning=mig (wants {names})"
    offered = (
        ", ".join(map(str, sorted(_offered(nodes))))
        or "none yet (the nodes' agents have not reported a MIG-enabled GPU)"
    )
    return f"no GPU that is handed over offers {names}; the profiles that exist: {offered}"


def _counted(misfits: Mapping[str, str | None]) -> str:
    counts = Counter(reason for reason in misfits.values() if reason is not None)
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))


def _no_room(wish: Wish, fitting: Sequence[NodeView]) -> Refusal:
    """Full, or free memory in pieces that no legal placement can use."""
    everywhere = [gpu for node in fitting for gpu in node.gpus]
    gpus = [gpu for gpu in everywhere if not gpu.trouble]
    left_out = _left_out([gpu for gpu in everywhere if gpu.trouble])
    wanted = sum(_smallest_size(need.profile, everywhere) for need in wish.needs)
    free = sum(_free(gpu) for gpu in gpus if any(need.profile in gpu.shape.by_profile for need in wish.needs))
    if free >= wanted:
        return Refusal(
            Reason.FRAGMENTED,
            f"{free} memory slices are free on {len(gpus)} GPUs, but nowhere in a place where {_wanted(wish)} may lie"
            + left_out,
        )
    return Refusal(
        Reason.FULL,
        f"{_wanted(wish)} takes {wanted} memory slices, {free} are free on {len(gpus)} GPUs; waits for Pods to end{left_out}",
    )


def _left_out(ill: Sequence[GpuView]) -> str:
    """The GPUs on which nothing is placed now, and why; one stands for all."""
    if not ill:
        return ""
    more = f" and {len(ill) - 1} more" if len(ill) > 1 else ""
    return f"; left out: {ill[0].uuid} ({ill[0].trouble}){more}"


def _smallest_size(profile: Profile, gpus: Iterable[GpuView]) -> int:
    return min((gpu.shape.by_profile[profile].size for gpu in gpus if profile in gpu.shape.by_profile), default=0)


def _free(gpu: GpuView) -> int:
    return gpu.shape.width - occupied(gpu.fixed).bit_count()


def _wanted(wish: Wish) -> str:
    counts = Counter(need.profile for need in wish.needs)
    names = ", ".join(
        f"{count} x {profile}" if count > 1 else str(profile) for profile, count in sorted(counts.items())
    )
    return names if len(wish.needs) == 1 else f"{names} on one node"
