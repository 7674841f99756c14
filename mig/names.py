"""The names that users, the API server and our three components share.

One place, so that a name can be searched for and is never spelled twice. Changing one of them breaks running clusters.
"""

from typing import Final

GROUP: Final = "nos.nebuly.com"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "MigSpec"
PLURAL: Final = "migspecs"

PARTITIONING_LABEL: Final = "nos.nebuly.com/gpu-partitioning"
PARTITIONING_MIG: Final = "mig"
"""Node label, set by the admin: hands the MIG-enabled GPUs of that node over."""

AGENT_LABEL: Final = "nos.nebuly.com/mig-agent"
"""Node label, kept by the allocator: the DaemonSet's nodeSelector follows it until nothing of ours is left on the node."""

ADOPT_ANNOTATION: Final = "nos.nebuly.com/adopt-mig"
"""Node annotation, set by the admin: which foreign slices the agent takes over: `all`, or UUIDs of GPUs and MIG devices."""

GATE: Final = "nos.nebuly.com/mig"
"""Scheduling gate of a Pod that waits for its slices."""

POD_LABEL: Final = "nos.nebuly.com/mig"
POD_LABEL_VALUE: Final = "true"
"""Pod label, set by the webhook, so that a watch can select MIG Pods."""

REQUEST_ANNOTATION: Final = "nos.nebuly.com/mig-request"
ALLOCATION_ANNOTATION: Final = "nos.nebuly.com/mig-allocation"
DURATION_ANNOTATION: Final = "nos.nebuly.com/expected-duration"
"""Pod annotation, by the user, optional: how long it is likely to run, as a Go duration (`90m`, `2h30m`) or in seconds (`5400`)."""

CONDITION: Final = "nos.nebuly.com/MigAllocated"

AGENT_LEAVING: Final = "AgentLeaving"
"""The reason of a MigSpec's condition `Healthy` while the node's agent ends, and until its successor reports."""

LEASE: Final = "nos-mig-allocator"

MIX_ANNOTATION: Final = "nos.nebuly.com/placement-mix"
"""Annotation of the Lease, kept by the allocator that leads: the demand mix that it has learned, for its successor."""

METRICS_PREFIX: Final = "nos_mig_"

RESOURCE_PREFIX: Final = "nvidia.com/mig-"
WHOLE_GPU_RESOURCE: Final = "nvidia.com/gpu"
