"""Where a slice goes. Pure: no I/O, no clock, no randomness; the allocator and the simulator use one engine."""
