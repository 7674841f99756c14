"""`nos-mig inspect`: what driver, spec, status, ledger and kubelet each say of this node, side by side, and where they differ.

For the person who asks why a slice is not there, or is. It only reads, also while the agent runs; nothing of it is loaded by
the agent. `sources` reads (I/O), `join` puts together and `rules` judges (pure), `text` shows, `main` is the command.
"""
