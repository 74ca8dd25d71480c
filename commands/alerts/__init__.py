"""Alerts: raise one; it climbs a ladder until each agency has answered."""

from commands.alerts import answering, changing, exporting, jobs, raising, reading
from commands.alerts.capability import alerts

__all__ = ["alerts", "answering", "changing", "exporting", "jobs", "raising", "reading"]
