"""What a stack consists of: nodes, their GPUs, and how the simulated hardware behaves. Values only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

DEFAULT_MODELS: Final = ("A100-SXM4-80GB", "H100-SXM5-80GB")


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node and its GPUs, by model; MIG mode is on where `mig_enabled` says so, one flag a GPU."""

    name: str
    gpus: tuple[str, ...]
    mig_enabled: tuple[bool, ...]
    latencies: bool = False
    """Whether the simulated hardware takes as long as real hardware."""


def node_plan(name: str, *gpus: str, mig_enabled: bool = True, latencies: bool = False) -> NodePlan:
    """A node whose GPUs all have MIG mode on, or off."""
    return NodePlan(name, gpus, (mig_enabled,) * len(gpus), latencies)


def fleet_plan(*, nodes: int, gpus: int, models: Sequence[str] = DEFAULT_MODELS, latencies: bool) -> list[NodePlan]:
    """`nodes` nodes with `gpus` GPUs each, the models dealt out to the nodes in turn."""
    return [
        node_plan(f"gpu-node-{n + 1}", *[models[n % len(models)]] * gpus, latencies=latencies) for n in range(nodes)
    ]
