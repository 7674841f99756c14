"""Ways of handing slices over, for tests, on a machine whose files the test makes."""

from pathlib import Path

from nodeagent.kubelet.cdifolder import CdiFolder
from nodeagent.kubelet.devicenodes import DeviceNodes
from nodeagent.kubelet.handing import EnvVar


def by_variable(root: Path) -> EnvVar:
    """By `NVIDIA_VISIBLE_DEVICES` and the device nodes that lie below the root."""
    return EnvVar(device_nodes(root), device_root=root)


def by_name(root: Path, folder: Path) -> CdiFolder:
    """By CDI names that are described in the folder, where NVIDIA's description may lie, too."""
    return CdiFolder(folder, nodes=device_nodes(root), device_root=Path("/"), folders=(folder,))


def device_nodes(root: Path) -> DeviceNodes:
    """The `dev` and `proc` below the root."""
    return DeviceNodes(dev=root / "dev", proc=root / "proc")
