"""How a container is told which slice is its own: what the answer to an `Allocate` says, and what has to be there before it.

A slice is `prepare`d before it is offered and forgotten after it was dropped, so that whatever the answer names exists for as
long as the kubelet may hand the slice out, or start a container again that has it. Here is the way of `NVIDIA_VISIBLE_DEVICES`, for
nodes whose container runtime is NVIDIA's; that of CDI names is in `nodeagent.kubelet.cdifolder`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from nodeagent.kubelet.api import deviceplugin_pb2 as pb
from nodeagent.kubelet.devicenodes import DeviceNodes, on_host
from nodeagent.kubelet.offers import Device

VISIBLE_DEVICES: Final = "NVIDIA_VISIBLE_DEVICES"
"""What NVIDIA's container runtime reads. The kubelet puts a container's own env behind a plugin's, so the user's would win: the
webhook refuses it."""


class Handing(Protocol):
    """One way. Its methods belong to the event loop and block for no longer than small files of the node itself take."""

    @property
    def troubles(self) -> tuple[str, ...]:
        """What an admin should look at: sentences that say what to do."""

    def prepare(self, device: Device, /) -> bool:
        """See to it that the answer for this slice will hold, now and at each later call; whether it may be offered."""

    def forget(self, device_id: str) -> None:
        """The slice is gone, and the kubelet will not ask for it any more."""

    def answer(self, devices: Sequence[Device]) -> pb.ContainerAllocateResponse:
        """What the kubelet is told for one container."""


class EnvVar:
    """By variable; beside it the device nodes that are there, so that the container manager knows of them.

    A user's own variable, which no webhook can see where it comes by `envFrom`, overrides ours (`docs/guarantees.md`, promise 8).
    """

    troubles = ()

    def __init__(self, nodes: DeviceNodes, *, device_root: Path) -> None:
        """`device_root` is below what the host has its `dev` folder."""
        self._nodes = nodes
        self._device_root = device_root

    def prepare(self, _device: Device, /) -> bool:
        """Nothing has to be there."""
        return True

    def forget(self, device_id: str) -> None:
        """Nothing was there."""

    def answer(self, devices: Sequence[Device]) -> pb.ContainerAllocateResponse:
        """The UUIDs, and each device node once."""
        names = [node.path for each in devices if each.access for node in self._nodes.present(each.access)]
        return pb.ContainerAllocateResponse(
            envs={VISIBLE_DEVICES: ",".join(each.id for each in devices)},
            devices=[
                pb.DeviceSpec(container_path=path, host_path=on_host(path, self._device_root), permissions="rw")
                for path in dict.fromkeys(names)
            ],
        )
