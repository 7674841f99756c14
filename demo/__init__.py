"""`nos-mig demo`: the whole product on one machine, with a real control plane and simulated GPUs.

The tests and the benchmarks start what users start through the same `demo.stack`.
"""
