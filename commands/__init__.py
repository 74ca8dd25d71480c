"""The table of contents: every capability of the bot, in the order in which help lists them."""

from bot.kernel.vocabulary import Capability
from commands.agencies import agencies
from commands.alerts import alerts
from commands.me import me
from commands.members import members
from commands.rooms import rooms

CAPABILITIES: tuple[Capability, ...] = (
    alerts,
    members,
    agencies,
    rooms,
    me,
)
