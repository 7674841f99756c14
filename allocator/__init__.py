"""The allocator: decides which slices exist for whom, and lets a Pod go when its slices do.

One leader at a time; `round.decide` is its whole judgement, a pure function from what the API server holds (`view`) to what is
to be written (`decisions`). Around it stand the index that follows the cluster, the writer that carries decisions out, and the
controller that turns one into the other. Placement (`place` and what it uses) knows nothing of all that.
"""
