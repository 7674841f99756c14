"""One node: a real kubelet in its own mount namespace, and the runtime that pretends.

The two are separate processes, as on any node, so the kubelet can be stopped and started under running containers. Its
device-plugin folder and its PodResources socket are ordinary paths for everybody outside. The kubelet's defaults hold; what
is set differently is set because containers do not run, or to leave the machine as it is.
"""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from cluster.api import wait_until
from cluster.control_plane import ControlPlane
from cluster.errors import ClusterError, StartError, tail
from cluster.isolation import Isolation
from cluster.ports import lease_port
from cluster.supervisor import Child, Supervisor

REGISTRATION_TIMEOUT_S: Final = 30.0
SOCKET_PATH_LIMIT: Final = 107
"""Bytes in the path of a unix socket (sockaddr_un)."""
RUNTIME_TIMEOUT_S: Final = 30.0
"""The kubelet dies at once when it finds no runtime, so it is not started before."""
PLUGIN_SOCKET_ROOM: Final = 40
"""What is left for the name of a device plugin's own socket."""


class Node:
    """A node of a cluster, made by `Cluster.add_node`."""

    def __init__(
        self,
        name: str,
        *,
        directory: Path,
        binary: Path,
        control_plane: ControlPlane,
        supervisor: Supervisor,
        labels: Mapping[str, str],
    ) -> None:
        self.name = name
        self.directory = directory
        self.device_plugin_dir = directory / "plugins"
        """The kubelet's /var/lib/kubelet/device-plugins: register at kubelet.sock in it."""
        self.pod_resources_socket = directory / "root" / "pod-resources" / "kubelet.sock"
        self.containers_dir = directory / "containers"
        """One JSON file a container, NAMESPACE_POD_CONTAINER_ATTEMPT.json, with what the kubelet handed to it."""
        self.static_pods_dir = directory / "manifests"
        """A manifest in here is a static Pod: the kubelet runs it, whatever the API server says."""
        self.kubelet_log = directory / "kubelet.log"
        self._check_paths()
        folders = (self.device_plugin_dir, self.containers_dir, self.static_pods_dir, directory / "root")
        for folder in (*folders, directory / "scratch"):
            folder.mkdir(parents=True)
        self._binary = str(binary)
        self._supervisor = supervisor
        self._labels = labels
        self._lease = lease_port()
        self._kubeconfig = control_plane.node_kubeconfig(name, directory / "kubeconfig")
        self._config = directory / "kubelet.yaml"
        config = self._kubelet_config(control_plane.authority.certificate_path)
        self._config.write_text(yaml.safe_dump(config), encoding="utf-8")
        self._runtime: Child | None = None
        self._kubelet: Child | None = None

    def start(self) -> None:
        """Start runtime and kubelet; returns before the Node is Ready. Without its runtime all containers are gone."""
        if self._runtime is None:
            listens = self.directory / "cri.sock"
            listens.unlink(missing_ok=True)  # a socket that a power cut left behind would pass for a runtime
            flags = ["--socket", str(listens), "--containers-dir", str(self.containers_dir)]
            argv = [self._binary, "pretend-runtime", *flags]
            self._runtime = self._supervisor.spawn(f"runtime of {self.name}", argv, log=self.directory / "runtime.log")
            if not wait_until(listens.exists, timeout_s=RUNTIME_TIMEOUT_S):
                raise StartError(
                    f"the runtime of node {self.name} does not listen. {tail(self.directory / 'runtime.log')}"
                )
        self.start_kubelet()

    def stop(self) -> None:
        """Stop kubelet and runtime, as a power cut does: the Node object stays, its containers are gone."""
        self.stop_kubelet()
        if self._runtime is not None:
            self._runtime.stop()
            self._runtime = None
            for record in self.containers_dir.glob("*.json"):
                record.unlink()

    def stop_kubelet(self) -> None:
        """Stop the kubelet alone; containers run on."""
        if self._kubelet is not None:
            self._kubelet.stop()
            self._kubelet = None

    def start_kubelet(self) -> None:
        """Start the kubelet; returns at once."""
        if self._kubelet is None:
            flags = [
                f"--config={self._config}",
                f"--kubeconfig={self._kubeconfig}",
                f"--hostname-override={self.name}",
                f"--root-dir={self.directory}/root",
                f"--cert-dir={self.directory}/pki",
            ]
            if self._labels:
                flags.append("--node-labels=" + ",".join(f"{key}={value}" for key, value in self._labels.items()))
            self._kubelet = self._supervisor.spawn(
                f"kubelet of {self.name}",
                [self._binary, "kubelet", *flags],
                log=self.kubelet_log,
                isolation=Isolation(device_plugins=self.device_plugin_dir, scratch=self.directory / "scratch"),
            )

    def restart_kubelet(self) -> None:
        """Stop and start the kubelet, as an upgrade does; returns when device plugins can register. Containers run on."""
        self.stop_kubelet()
        self.start_kubelet()
        if not wait_until(self._takes_plugins, timeout_s=REGISTRATION_TIMEOUT_S):
            raise StartError(f"the kubelet of {self.name} did not come back. {tail(self.kubelet_log)}")

    @property
    def starts(self) -> int:
        """How many processes were started for its present kubelet and runtime: 2 if neither ever died."""
        return sum(child.starts for child in (self._runtime, self._kubelet) if child is not None)

    def _takes_plugins(self) -> bool:
        """Tell whether somebody listens at kubelet.sock; a dead kubelet leaves the file there."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.device_plugin_dir / "kubelet.sock")) == 0

    def release(self) -> None:
        """Give its port back, once it is stopped for good."""
        self._lease.release()

    def _check_paths(self) -> None:
        longest = max(len(str(self.device_plugin_dir)) + PLUGIN_SOCKET_ROOM, len(str(self.pod_resources_socket)))
        if longest > SOCKET_PATH_LIMIT:
            raise ClusterError(
                f"node {self.name}: the folder {self.directory} is too deep for unix sockets "
                f"({longest} bytes of {SOCKET_PATH_LIMIT}): give the cluster a shorter folder, or set TMPDIR to one"
            )

    def _kubelet_config(self, authority: Path) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "127.0.0.1",
            "port": self._lease.port,
            "healthzPort": 0,
            "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(authority)}},
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": f"unix://{self.directory}/cri.sock",
            "podLogsDir": f"{self.directory}/pod-logs",
            "volumePluginDir": f"{self.directory}/volume-plugins",
            "staticPodPath": str(self.static_pods_dir),
            # No container has a cgroup, and nothing of the machine's own is to change.
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            "makeIPTablesUtilChains": False,
            "oomScoreAdj": 0,
            # The machine's fullness is not this node's affair.
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            # Pulls only pretend, so there is no registry to spare. Per second; 0 is without limit.
            "registryPullQPS": 0,
        }
