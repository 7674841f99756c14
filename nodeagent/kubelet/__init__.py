"""The kubelet half of the agent: what it needs of the kubelet, and our own device plugin with its book, lists and counts."""
