"""How fast the connector is, beside what the same machine does in the same run without it.

    make bench                                  # everything, a quarter of an hour at most; report in var/bench/
    python -m benchmarks --only lag --quick     # one of them, with smaller numbers

Every figure is a ratio or stands beside its goal: absolute numbers say more about the machine than about us. No test
asserts any of them; a test only sees to it that the benchmarks run.
"""
