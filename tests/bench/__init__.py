"""Benchmarks: each prints what was measured beside a floor from the same run; no test needs them."""
