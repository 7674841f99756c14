"""What an admin is told when NVIDIA's device plugin does not do its part: which part, where to look, what to do. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nodeagent.nvidia.entries import Entry
from nodeagent.nvidia.pods import PluginPod

DOWN_AFTER_S: Final = 10.0
"""A plugin that is started anew is away for some seconds; that is no news."""

SILENT_AFTER_S: Final = 20.0
"""And as long may it take until the kubelet lists what it found."""

_SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class Symptom:
    """Something that is wrong, by a name that stays while it lasts, and the sentence for it. Worth telling after `after_s`."""

    name: str
    sentence: str
    after_s: float


def symptom(
    *, pods: Sequence[PluginPod], where: str, missing: frozenset[Entry], gone: frozenset[Entry], cut_up: Sequence[str]
) -> Symptom | None:
    """The one thing that is wrong now, if any. `pods` are those that are not on their way out."""
    likely = (
        f"; a likely reason: it fails on instances that hold several compute instances ({', '.join(cut_up[:_SHOWN])}): "
        "destroy those (nvidia-smi mig -dci, -dgi)"
        if cut_up
        else ""
    )
    if not pods:
        return Symptom(
            "absent",
            f"no Pod of NVIDIA's device plugin is on this node (looked for {where}); install it with the MIG strategy mixed, "
            "or say where it is in nodeAgent.nvidiaDevicePlugin (namespace, selectors), or use nodeAgent.devicePlugin=own",
            DOWN_AFTER_S,
        )
    if not any(pod.running for pod in pods):
        names = ", ".join(f"{pod.namespace}/{pod.name} ({pod.why})" for pod in pods[:_SHOWN])
        look = f"kubectl -n {pods[0].namespace} logs {pods[0].name}"
        return Symptom("down", f"NVIDIA's device plugin does not run: {names}; see {look}{likely}", DOWN_AFTER_S)
    if missing or gone:
        what = [
            *(f"does not list {each}" for each in sorted(missing)),
            *(f"still lists {each}" for each in sorted(gone)),
        ]
        return Symptom(
            "silent",
            f"NVIDIA's device plugin runs, and the kubelet {', '.join(what[:_SHOWN])}; is its MIG strategy mixed, and does it see "
            f"all GPUs? See kubectl -n {pods[0].namespace} logs {pods[0].name}{likely}",
            SILENT_AFTER_S,
        )
    return None
