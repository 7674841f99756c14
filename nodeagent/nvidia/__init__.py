"""The kubelet half beside NVIDIA's device plugin: offers nothing itself, and has that plugin enumerate again."""
