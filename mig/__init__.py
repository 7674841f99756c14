"""The domain of MIG partitioning, pure: profiles, placements, occupancy, geometries, demands, MigSpec.

Everything here is a frozen value or a function on frozen values. Nothing here reads a clock, a file, a socket or a random number,
and nothing here imports another package of this project: the webhook, the allocator and the node agent meet in these words.
"""
