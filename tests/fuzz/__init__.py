"""Fuzzing of everything that comes from outside; `python -m tests.fuzz`, and replayed by test_received.py."""
