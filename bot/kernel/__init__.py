"""The vocabulary that capabilities are written in; no I/O."""
