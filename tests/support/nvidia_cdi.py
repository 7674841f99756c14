"""A description as NVIDIA's tool writes it for a node: whole-GPU devices, and the driver's installation for all of them."""

from typing import Any, Final

DESCRIPTION: Final[dict[str, Any]] = {
    "cdiVersion": "0.7.0",
    "kind": "nvidia.com/gpu",
    "devices": [
        {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}, {"path": "/dev/dri/card1"}]}},
        {"name": "all", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}]}},
    ],
    "containerEdits": {
        "env": ["NVIDIA_VISIBLE_DEVICES=void", "NVIDIA_CTK_LIBCUDA_DIR=/usr/lib/x86_64-linux-gnu"],
        "deviceNodes": [
            {"path": "/dev/nvidia-modeset"},
            {"path": "/dev/nvidiactl"},
            {"path": "/dev/nvidia1"},
            {"path": "/dev/nvidia-caps/nvidia-cap1"},
            {"path": "/dev/dri/renderD128"},
        ],
        "hooks": [
            {
                "hookName": "createContainer",
                "path": "/usr/bin/nvidia-cdi-hook",
                "args": ["nvidia-cdi-hook", "update-ldcache", "--folder", "/usr/lib/x86_64-linux-gnu"],
                "env": ["NVIDIA_CTK_DEBUG=false"],
            }
        ],
        "mounts": [
            {
                "hostPath": "/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05",
                "containerPath": "/usr/lib/x86_64-linux-gnu/libcuda.so.580.95.05",
                "options": ["ro", "nosuid", "nodev", "rbind", "rprivate"],
            }
        ],
        "additionalGids": [44],
    },
}
