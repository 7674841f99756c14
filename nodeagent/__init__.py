"""The node agent: makes one node's GPUs be what its MigSpec says, offers the slices to the kubelet, and reports.

Its rooms: the driver (`driver`, `nvml`, `workers`), what is ours (`ledger`, `ownership`), the pure decisions (`plan`, `leaving`,
`usage`, `report`), what carries them out (`converge`, `agent`), and the kubelet's side behind one façade (`kubelet`).
"""
