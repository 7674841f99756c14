"""The admission webhook: sees each new Pod that names a MIG resource, and admits it gated and annotated, or refuses it.

It only validates and annotates. It reserves nothing, since an admitted object may never be stored, and it keeps no state
but its own certificates. `verdict` is the pure core; `review` reads and writes the envelope; `server` listens; `authority`,
`certificates`, `served` and `rotation` keep TLS going without anybody's help.
"""
