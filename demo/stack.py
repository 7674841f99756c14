"""The product and everything beneath it on this machine: cluster, simulated GPUs, chart, and our processes.

Starts things as a user would: the chart by `helm install` (its workloads off, since there are no real containers), and each
component as a process of its own with a token of the chart's ServiceAccount, an agent's bound to its Node, so that rights
and policies are in force. A process that dies is started again within 2 s. Synchronous; the demo, the tests and the
benchmarks drive it.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cluster import Child, Cluster, Node, StartError, Supervisor
from cluster.ports import PortLease, lease_port
from cluster.stale import NOTES
from demo.plan import NodePlan
from demo.probe import healthy
from simgpu import SimNode

NAMESPACE: Final = "nos-mig"
RELEASE: Final = "nos-mig"
CHART: Final = Path(__file__).resolve().parents[1] / "helm" / "nos-mig"
READY_TIMEOUT_S: Final = 60.0
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME", "PYTHONDONTWRITEBYTECODE")


def silent(_: str) -> None:
    """Say nothing of the progress."""


@dataclass(frozen=True, slots=True)
class StackNode:
    """One node: its kubelet, its simulated hardware, its agent's state."""

    plan: NodePlan
    node: Node
    sim: SimNode
    state_dir: Path

    @property
    def name(self) -> str:
        """The Node's name."""
        return self.plan.name


class Stack:
    """A running stack; `running` makes one and ends it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.nodes: dict[str, StackNode] = {}
        self.children: dict[str, Child] = {}
        self._supervisor = Supervisor(cluster.directory / NOTES)
        self._webhook_port: PortLease = lease_port()

    @property
    def directory(self) -> Path:
        """Everything of this stack is in here."""
        return self.cluster.directory

    def install_chart(self, *values: str) -> None:
        """`helm install`; `values` are `--set` pairs beside those that make it use our processes."""
        own = [
            "webhook.enabled=false",
            "allocator.enabled=false",
            "nodeAgent.enabled=false",
            f"webhook.url=https://127.0.0.1:{self._webhook_port.port}/mutate",
        ]
        pairs = [word for pair in (*own, *values) for word in ("--set", pair)]
        self.cluster.helm("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace", *pairs)

    def upgrade_chart(self, values: Path) -> None:
        """`helm upgrade --reuse-values` with a values file, which wins over what somebody edited by hand."""
        where = (RELEASE, str(CHART), "--namespace", NAMESPACE)
        self.cluster.helm("upgrade", *where, "--reuse-values", "--force-conflicts", "--values", str(values))

    def add_nodes(self, plans: Sequence[NodePlan]) -> None:
        """Start nodes with their simulated GPUs; returns when all are Ready."""
        sims = {
            plan.name: SimNode.create(
                self.directory / "gpus" / plan.name,
                gpus=plan.gpus,
                mig_enabled=plan.mig_enabled,
                latencies=plan.latencies,
                identity=plan.name,
            )
            for plan in plans
        }
        for plan, node in zip(plans, self.cluster.add_nodes([plan.name for plan in plans]), strict=True):
            state_dir = self.directory / "state" / plan.name
            self.nodes[plan.name] = StackNode(plan, node, sims[plan.name], state_dir)

    def hand_over(self, *names: str) -> None:
        """What the admin does: label the nodes."""
        self.cluster.kubectl("label", "nodes", *names, "nos.nebuly.com/gpu-partitioning=mig", "--overwrite")

    def take_back(self, *names: str) -> None:
        """What the admin does to undo it: remove the label."""
        self.cluster.kubectl("label", "nodes", *names, "nos.nebuly.com/gpu-partitioning-")

    def remove_node(self, name: str) -> None:
        """Take a node out of the cluster: its agent, its kubelet, its Node object."""
        agent = self.children.pop(f"agent-{name}", None)
        if agent is not None:
            agent.stop()
        self.nodes.pop(name).node.stop()
        self.cluster.kubectl("delete", "node", name)

    def start_webhook(self) -> Child:
        """Start the webhook at the address that the chart was given."""
        port = str(self._webhook_port.port)
        arguments = ["webhook", "--host", "127.0.0.1", "--port", port, "--ip", "127.0.0.1", "--drain-seconds", "0"]
        return self._start("webhook", arguments, account="nos-mig-webhook")

    def start_allocator(self, name: str = "allocator-0") -> Child:
        """Start an allocator; any number may run, one leads."""
        return self._start(name, ["allocator", "--identity", name], account="nos-mig-allocator")

    def start_agent(self, name: str) -> Child:
        """Start the agent of one node."""
        node = self.nodes[name]
        arguments = [
            *("nodeagent", "--node-name", name),
            *("--device-plugin-dir", str(node.node.device_plugin_dir)),
            *("--pod-resources-socket", str(node.node.pod_resources_socket)),
            *("--state-dir", str(node.state_dir)),
            *("--host-dev", str(node.sim.root / "dev"), "--proc-dir", str(node.sim.root / "proc")),
        ]
        environment = node.sim.environment() | {"NOS_MIG_BOOT_ID_FILE": str(node.sim.directory / "boot_id")}
        return self._start(f"agent-{name}", arguments, account="nos-mig-nodeagent", node=name, environment=environment)

    def renew_agent_token(self, name: str) -> None:
        """Give a running agent a token for its Node as it is now; a token ends with the Node object that it is bound to."""
        self.cluster.service_account_kubeconfig(NAMESPACE, "nos-mig-nodeagent", node=name)

    def wait_ready(self, *names: str, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until these processes answer `/healthz` and `/readyz`; raises StartError that quotes the log."""
        deadline = time.monotonic() + timeout_s
        for name in names or tuple(self.children):
            while not self.is_ready(name):
                if time.monotonic() > deadline:
                    raise StartError(
                        f"{name} is not ready after {timeout_s:.0f} s; its log ends:\n{self.log_tail(name)}"
                    )
                time.sleep(0.05)

    def is_ready(self, name: str) -> bool:
        """Whether a process says that it is ready. A stand-by allocator is."""
        note = self.ready_note(name)
        return note is not None and healthy(note["health"])

    def ready_note(self, name: str) -> dict[str, Any] | None:
        """What the process noted of its ports once it listened, if it did."""
        try:
            note = json.loads(self._ready_file(name).read_text())
        except (OSError, ValueError):
            return None
        return note if isinstance(note, dict) else None

    def log_file(self, name: str) -> Path:
        """Where a process logs."""
        return self.directory / "logs" / f"{name}.log"

    def log_tail(self, name: str, lines: int = 15) -> str:
        """The end of a process's log."""
        try:
            return "\n".join(self.log_file(name).read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    def stop(self) -> None:
        """End our processes, then the cluster."""
        self._supervisor.stop_all()
        self._webhook_port.release()
        self.cluster.stop()

    def _ready_file(self, name: str) -> Path:
        return self.directory / "ready" / f"{name}.json"

    def _start(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        account: str,
        node: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> Child:
        kubeconfig = self.cluster.service_account_kubeconfig(NAMESPACE, account, node=node)
        ready = self._ready_file(name)
        ready.parent.mkdir(exist_ok=True)
        ready.unlink(missing_ok=True)
        argv = [
            *(str(Path(sys.executable).with_name("nos-mig")), *arguments),
            *("--namespace", NAMESPACE, "--kubeconfig", str(kubeconfig)),
            *("--health-port", "0", "--ready-file", str(ready)),
        ]
        inherited = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        child = self._supervisor.spawn(name, argv, env=inherited | (environment or {}), log=self.log_file(name))
        self.children[name] = child
        return child


@contextmanager
def running(
    plans: Sequence[NodePlan],
    *,
    directory: Path | None = None,
    allocators: int = 1,
    hand_over: bool = True,
    say: Callable[[str], None] = silent,
) -> Iterator[Stack]:
    """A stack with these nodes: started, ready, and ended with the block. `say` is told of each step."""
    stack = start(plans, directory=directory, allocators=allocators, hand_over=hand_over, say=say)
    try:
        yield stack
    finally:
        say("ending every process")
        stack.stop()


def start(
    plans: Sequence[NodePlan],
    *,
    directory: Path | None = None,
    allocators: int = 1,
    hand_over: bool = True,
    say: Callable[[str], None] = silent,
) -> Stack:
    """As `running`, without the end."""
    say("starting a control plane (etcd, kube-apiserver, scheduler, controllers)")
    stack = Stack(Cluster.start(directory))
    try:
        _bring_up(stack, plans, allocators=allocators, hand_over=hand_over, say=say)
    except BaseException:
        stack.stop()
        raise
    return stack


def _bring_up(
    stack: Stack, plans: Sequence[NodePlan], *, allocators: int, hand_over: bool, say: Callable[[str], None]
) -> None:
    names = [plan.name for plan in plans]
    with ThreadPoolExecutor(1) as pool:
        say(f"helm install, and {len(plans)} nodes with real kubelets: {', '.join(names)}")
        chart = pool.submit(stack.install_chart)
        stack.add_nodes(plans)
        chart.result()
    say(f"starting the webhook, {allocators} allocators and {len(plans)} node agents")
    stack.start_webhook()
    for number in range(allocators):
        stack.start_allocator(f"allocator-{number}")
    for name in names:
        stack.start_agent(name)
    if hand_over and names:
        say(f"kubectl label nodes {' '.join(names)} nos.nebuly.com/gpu-partitioning=mig")
        stack.hand_over(*names)
    stack.wait_ready()
