"""Tandem: a bot in end-to-end encrypted Matrix rooms."""
