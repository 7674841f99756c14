"""A whole cluster as one object: start it, add nodes, talk to it, break parts of it, stop it.

Synchronous; safe to use from one thread. What it starts is tied to the life of this process, and the folder of one that died
is cleared away when the next starts. It promises a working cluster or an exception that quotes the log of what failed.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TextIO

from cluster import stale
from cluster.api import wait_until
from cluster.build import kube_binary
from cluster.control_plane import ControlPlane
from cluster.errors import ClusterError, CommandError, StartError, tail
from cluster.isolation import check_isolation
from cluster.kubeconfig import write_private, write_token_kubeconfig
from cluster.node import Node
from cluster.supervisor import Supervisor

NODE_READY_TIMEOUT_S: Final = 60.0
COMMAND_TIMEOUT_S: Final = 120.0
TOKEN_S: Final = 7 * 24 * 3600
"""How long a service account's token lasts unless told otherwise: longer than a demo is left running."""


class Cluster:
    """A running cluster; `Cluster.start` makes one, and leaving its `with` block ends it."""

    def __init__(self, *, directory: Path, binary: Path, lock: TextIO, temporary: bool) -> None:
        self.directory = directory
        self.binary = binary
        self._lock = lock
        self._temporary = temporary
        self._supervisor = Supervisor(directory / stale.NOTES)
        self._node_supervisor = Supervisor(directory / stale.NOTES)
        self._control_plane = ControlPlane(directory=directory, binary=binary, supervisor=self._supervisor)
        self._nodes: dict[str, Node] = {}
        self._link_tools()

    @classmethod
    def start(cls, directory: Path | None = None, *, name: str = "nos-mig") -> Self:
        """Start a control plane; returns when Pods can be created in it.

        Its folder is a new one in the temporary folder, removed at the end, unless an empty or missing one is given, which stays.
        """
        binary = kube_binary()
        cls.clean_stale(name=name)
        temporary = directory is None
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        directory = directory.resolve()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ClusterError(f"{directory} is not empty: give the cluster a folder of its own")
        lock = stale.claim(directory)
        cluster = cls(directory=directory, binary=binary, lock=lock, temporary=temporary)
        try:
            cluster._control_plane.start()
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @staticmethod
    def clean_stale(*, name: str = "nos-mig") -> list[Path]:
        """End and remove what clusters of that name left whose owners are dead; returns the folders removed."""
        return stale.clean_stale(Path(tempfile.gettempdir()), prefix=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self._control_plane.kubeconfig

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._control_plane.server

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by name."""
        return dict(self._nodes)

    def add_node(self, name: str, *, labels: Mapping[str, str] | None = None, ready: bool = True) -> Node:
        """Start a node; returns when it is Ready, or at once with `ready=False`."""
        return self.add_nodes([name], labels=labels, ready=ready)[0]

    def add_nodes(
        self, names: Sequence[str], *, labels: Mapping[str, str] | None = None, ready: bool = True
    ) -> list[Node]:
        """Start several nodes at the same time, all with those labels; returns when all are Ready."""
        check_isolation()
        added = [self._make_node(name, labels or {}) for name in names]
        for node in added:
            node.start()
        for node in added if ready else ():
            self.wait_ready(node)
        return added

    def wait_ready(self, node: Node, *, timeout_s: float = NODE_READY_TIMEOUT_S) -> None:
        """Wait until that node is Ready; raises StartError with its log if it will not be."""
        api, starts = self._control_plane.api, node.starts

        def settled() -> bool:
            return node.starts > starts or api.node_ready(node.name)

        if not wait_until(settled, timeout_s=timeout_s) or node.starts > starts:
            raise StartError(f"node {node.name} did not become Ready. {tail(node.kubelet_log)}")

    def kubectl(self, *args: str, input: str | None = None, check: bool = True) -> str:  # noqa: A002 - as subprocess
        """Run kubectl as the administrator; returns what it printed, raises CommandError if it failed."""
        return self._run("kubectl", *args, input=input, check=check)

    def helm(self, *args: str) -> str:
        """Run helm as the administrator; returns what it printed, raises CommandError if it failed."""
        return self._run("helm", *args, input=None, check=True)

    def service_account_kubeconfig(
        self, namespace: str, name: str, *, node: str | None = None, duration_s: int = TOKEN_S
    ) -> Path:
        """Write a kubeconfig for a ServiceAccount, its token bound to a Node object if one is named.

        The token is in a file beside it; calling this again puts a new one there, under running clients.
        """
        spec: dict[str, Any] = {"expirationSeconds": duration_s}
        if node is not None:
            uid = self._control_plane.api.json("GET", f"/api/v1/nodes/{node}")["metadata"]["uid"]
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        token: str = self._control_plane.api.json("POST", path, request)["status"]["token"]
        folder = self.directory / "accounts"
        folder.mkdir(mode=0o700, exist_ok=True)
        stem = ".".join(part for part in (namespace, name, node) if part)
        token_file = folder / f"{stem}.token"
        write_private(token_file, token)
        authority = self._control_plane.authority.certificate
        return write_token_kubeconfig(
            folder / f"{stem}.kubeconfig", server=self.server, authority=authority, token_file=token_file
        )

    def stop_api_server(self) -> None:
        """Stop the API server; etcd, and everybody who wants to talk to the API server, stays."""
        self._control_plane.stop_api_server()

    def start_api_server(self) -> None:
        """Start it again at the same address; returns when it is ready."""
        self._control_plane.start_api_server()

    def stop(self) -> None:
        """End every process, and remove the folder if it was made here. Stopping twice is fine."""
        if self._lock.closed:
            return
        self._node_supervisor.stop_all()
        self._control_plane.stop()
        for node in self._nodes.values():
            node.release()
        if self._temporary:
            stale.remove_tree(self.directory)
        self._lock.close()

    def _make_node(self, name: str, labels: Mapping[str, str]) -> Node:
        if name in self._nodes:
            raise ClusterError(f"there is a node {name} already: use another name")
        node = Node(
            name,
            directory=self.directory / "nodes" / name,
            binary=self.binary,
            control_plane=self._control_plane,
            supervisor=self._node_supervisor,
            labels=labels,
        )
        self._nodes[name] = node
        return node

    def _link_tools(self) -> None:
        """Offer kubectl and helm to a user by putting one folder on PATH."""
        folder = self.directory / "bin"
        folder.mkdir()
        for tool in ("kubectl", "helm"):
            (folder / tool).symlink_to(self.binary)

    def _run(self, tool: str, *args: str, input: str | None, check: bool) -> str:  # noqa: A002 - as subprocess
        command = [str(self.directory / "bin" / tool), *args]
        try:
            done = subprocess.run(
                command, input=input, env=self._tool_env(), check=False, capture_output=True, text=True,
                timeout=COMMAND_TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"{tool} {' '.join(args)}: no end within {COMMAND_TIMEOUT_S:.0f} s") from error
        if check and done.returncode != 0:
            raise CommandError(f"{tool} {' '.join(args)}: {done.stderr.strip()}", stderr=done.stderr)
        return done.stdout

    def _tool_env(self) -> dict[str, str]:
        """Keep the tools from reading or writing anything of the user's own."""
        folders = {name: str(self.directory / "tools" / name) for name in TOOL_FOLDERS}
        return {**os.environ, **folders, "KUBECONFIG": str(self.kubeconfig), "KUBERC": "off"}


TOOL_FOLDERS: Final = ("KUBECACHEDIR", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")
