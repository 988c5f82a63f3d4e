"""The benchmark: training speed, memory and time to the first batch, side by side (`python -m harness.benchmark`).

- `plan`: which measurements, in which order; each runs in a process of its own and is kept as soon as it is there.
- `measure`: what such a process does.
- `contestants` and `geometric`: the ways of training that are compared.
- `floor`: the least time that a step can take on this machine.

What is recorded, and what follows from it, is in `harness.benchmark.record`.
"""
