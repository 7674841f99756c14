"""What every long-lived process of ours shares: options, logs, signals, health and metrics.

It knows no MIG and decides nothing; it makes the webhook, the allocator and the agents behave alike towards whoever
runs them: the kubelet, the demo or a human at a terminal.
"""
