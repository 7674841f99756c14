"""Notices another device plugin that advertises MIG slices on this node, and says what to switch off.

Two plugins for one resource overwrite each other's lists in the kubelet, and it asks whichever registered last to allocate. Nothing
is done about it here: fighting back would hand out wrong devices. NVIDIA's plugin is known by its sockets, `nvidia-mig-*.sock`,
since its device ids are MIG UUIDs like ours; any other by foreign ids in the kubelet's list (`nodeagent.kubelet.listing`).
"""

import socket
from collections.abc import Iterable
from pathlib import Path

REMEDY = (
    "switch it off on this node: with NVIDIA's GPU operator, label the node nvidia.com/gpu.deploy.device-plugin=false; "
    "else exclude the node from that plugin's DaemonSet"
)


def rival_sockets(directory: Path) -> tuple[str, ...]:
    """The names of NVIDIA's MIG sockets that somebody listens on; a dead plugin's left-over is none."""
    return tuple(sorted(path.name for path in directory.glob("nvidia-mig-*.sock") if _somebody_listens(path)))


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True  # its queue is full
        except OSError:
            return False
        return True


def conflict(*, sockets: Iterable[str], foreign: Iterable[str]) -> str | None:
    """The sentence for the status, or None."""
    evidence = [
        *(f"it listens on {name}" for name in sockets),
        *(f"the kubelet lists its ids under {name}" for name in foreign),
    ]
    if not evidence:
        return None
    return f"another device plugin advertises MIG slices on this node ({'; '.join(evidence)}); {REMEDY}"
