"""The messages of the kubelet's device-plugin and PodResources APIs, compiled from the `.proto` files here at build time."""
