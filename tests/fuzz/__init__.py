"""Fuzzing of everything that comes from outside; test_received.py replays its finds."""
