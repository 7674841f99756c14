"""The one way to the API server.

Everything that crosses the wire to Kubernetes goes through this package: single calls (`client`), endless watches
(`listwatch`), Events (`events`) and leadership (`lease`). It speaks in plain dicts and patches, puts a deadline on
every call, and knows nothing of MIG: what the objects mean is decided by its users.
"""

from kube.slim import spare_what_nobody_uses

spare_what_nobody_uses()
