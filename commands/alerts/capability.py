"""The capability that the commands, reactions and jobs of alerts are collected in."""

from bot.kernel.vocabulary import Capability

alerts = Capability("alerts")
