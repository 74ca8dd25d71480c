"""Benchmarks: each prints what was measured beside a floor from the same run; no test depends on them."""
