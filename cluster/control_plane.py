"""etcd, the API server, the scheduler and the controllers of one cluster, as a kubeadm cluster runs them.

All defaults of Kubernetes hold, the scheduler's and the controllers' client rates included, so that what is measured here
is what a real cluster does. Only this differs: etcd does not wait for the disk and is reached by unix sockets in the
cluster's folder, the API server listens on 127.0.0.1 alone, and there are one of each and hence no leader election.
"""

from pathlib import Path
from typing import Final

from cluster.api import AdminApi, wait_until
from cluster.certificates import Authority, KeyPair
from cluster.errors import StartError, tail
from cluster.kubeconfig import write_certificate_kubeconfig
from cluster.ports import lease_port
from cluster.supervisor import Child, Supervisor

READY_TIMEOUT_S: Final = 60.0
API_SERVER_STOP_TIMEOUT_S: Final = 2.0
"""It would wait a minute for its watchers; they learn of it all the sooner this way."""
SERVICE_ADDRESS: Final = "10.0.0.1"
"""The first of --service-cluster-ip-range: what Pods call the API server by."""


class ControlPlane:
    """The control plane's processes and what they need; everything it writes is in the cluster's folder."""

    def __init__(self, *, directory: Path, binary: Path, supervisor: Supervisor) -> None:
        self._directory = directory
        self._binary = binary
        self._supervisor = supervisor
        self._lease = lease_port()
        self.port = self._lease.port
        self.server = f"https://127.0.0.1:{self.port}"
        self.authority = Authority(directory / "pki")
        self._token_key = self.authority.token_key()
        self._serving = self.authority.issue(
            "server", common_name="kube-apiserver", addresses=["127.0.0.1", SERVICE_ADDRESS]
        )
        self._kubelet_client = self.authority.issue(
            "kubelet-client", common_name="kube-apiserver-kubelet-client", organization="system:masters"
        )
        admin = self.authority.issue("admin", common_name="admin", organization="system:masters")
        self.kubeconfig = self._write_kubeconfig("admin", admin)
        self.api = AdminApi(port=self.port, authority=self.authority, admin=admin)
        self._api_server: Child | None = None

    def start(self) -> None:
        """Start everything; returns when Pods can be created."""
        etcd = self._spawn("etcd", self._etcd_flags())
        self._api_server = self._spawn("kube-apiserver", self._api_server_flags())
        self._wait_ready(etcd, self._api_server)
        self._spawn("kube-controller-manager", self._controller_flags())
        self._spawn("kube-scheduler", self._scheduler_flags())
        # A Pod is refused while its namespace lacks this; a controller makes it.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        if not wait_until(lambda: self.api.exists(account), timeout_s=READY_TIMEOUT_S):
            raise StartError(f"the controllers did not come up. {tail(self._log('kube-controller-manager'))}")

    def stop_api_server(self) -> None:
        """Stop the API server alone; etcd keeps what it stored."""
        if self._api_server is not None:
            self._api_server.stop(API_SERVER_STOP_TIMEOUT_S)
            self._api_server = None

    def start_api_server(self) -> None:
        """Start it again on the same port; returns when it is ready."""
        if self._api_server is None:
            self._api_server = self._spawn("kube-apiserver", self._api_server_flags())
            self._wait_ready(self._api_server)

    def stop(self) -> None:
        """Stop everything, the API server before its etcd, without which it would linger for minutes."""
        self.stop_api_server()
        self._supervisor.stop_all()
        self._lease.release()

    def node_kubeconfig(self, name: str, path: Path) -> Path:
        """Write the kubeconfig of a kubelet, limited to its own node by the Node authorizer."""
        pair = self.authority.issue(f"node-{name}", common_name=f"system:node:{name}", organization="system:nodes")
        return write_certificate_kubeconfig(path, server=self.server, authority=self.authority.certificate, pair=pair)

    def _wait_ready(self, *required: Child) -> None:
        def settled() -> bool:
            return self.api.exists("/readyz") or any(child.starts > 1 for child in required)

        if not (wait_until(settled, timeout_s=READY_TIMEOUT_S) and self.api.exists("/readyz")):
            broken = next((child for child in required if child.starts > 1), required[-1])
            raise StartError(f"{broken.name} did not come up. {tail(broken.log)}")

    def _spawn(self, component: str, flags: list[str]) -> Child:
        return self._supervisor.spawn(component, [str(self._binary), component, *flags], log=self._log(component))

    def _log(self, component: str) -> Path:
        return self._directory / "logs" / f"{component}.log"

    def _write_kubeconfig(self, name: str, pair: KeyPair) -> Path:
        path = self._directory / f"{name}.kubeconfig"
        return write_certificate_kubeconfig(path, server=self.server, authority=self.authority.certificate, pair=pair)

    def _etcd_flags(self) -> list[str]:
        client, peer = (f"unix://{self._directory}/etcd-{end}.sock" for end in ("client", "peer"))
        return [
            f"--data-dir={self._directory}/etcd",
            "--unsafe-no-fsync",
            "--log-level=warn",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]

    def _api_server_flags(self) -> list[str]:
        return [
            f"--etcd-servers=unix://{self._directory}/etcd-client.sock",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            # A loopback address is no valid endpoint for the Service "kubernetes".
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={self._serving.certificate_path}",
            f"--tls-private-key-file={self._serving.key_path}",
            f"--client-ca-file={self.authority.certificate_path}",
            f"--kubelet-client-certificate={self._kubelet_client.certificate_path}",
            f"--kubelet-client-key={self._kubelet_client.key_path}",
            f"--service-account-key-file={self._token_key.public}",
            f"--service-account-signing-key-file={self._token_key.private}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
        ]

    def _controller_flags(self) -> list[str]:
        return [
            *self._client_flags("controllers", "system:kube-controller-manager"),
            f"--service-account-private-key-file={self._token_key.private}",
            f"--root-ca-file={self.authority.certificate_path}",
            "--use-service-account-credentials=true",
        ]

    def _scheduler_flags(self) -> list[str]:
        return self._client_flags("scheduler", "system:kube-scheduler")

    def _client_flags(self, name: str, user: str) -> list[str]:
        kubeconfig = self._write_kubeconfig(name, self.authority.issue(name, common_name=user))
        paths = [f"--{flag}={kubeconfig}" for flag in ("kubeconfig", *DELEGATED)]
        return [*paths, "--leader-elect=false", "--secure-port=0"]


DELEGATED: Final = ("authentication-kubeconfig", "authorization-kubeconfig")
"""Flags by which a component checks its own callers; it has none here, and asks for them all the same."""
