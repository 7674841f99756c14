"""A real Kubernetes cluster on one machine, without root: for the demo and for the tests.

Real are etcd, the API server, the scheduler, the controllers and every node's kubelet; only the container runtime
pretends (`cluster/kube/runtime.go`). This package drives them as child processes and knows nothing of MIG. It promises
that clusters side by side never meet and that nothing outlives its owner, not even one that was killed.
"""

from cluster.build import kube_binary
from cluster.cluster import Cluster
from cluster.errors import BuildError, ClusterError, CommandError, IsolationError, StartError
from cluster.isolation import Isolation, check_isolation
from cluster.node import Node
from cluster.supervisor import Child, Supervisor

__all__ = [
    "BuildError",
    "Child",
    "Cluster",
    "ClusterError",
    "CommandError",
    "Isolation",
    "IsolationError",
    "Node",
    "StartError",
    "Supervisor",
    "check_isolation",
    "kube_binary",
]
