"""The scene of the stories of alerts: three agencies in two rooms, nothing said yet."""

from dataclasses import dataclass

from bot.kernel.vocabulary import Role
from storage.alerts import Alert, Answered
from storage.transitions import Transition
from tests.story import Officer, Said, Story

CLOSED = '!alert severe "Bridge closed"'


@dataclass
class Scene:
    """Three agencies in two rooms: Anna raises, Cho and Opal answer, Otto watches, Sue leads Cho."""

    story: Story
    anna: Officer
    cho: Officer
    sue: Officer
    opal: Officer
    otto: Officer
    root: Officer
    ops: str
    sea: str

    async def raised(self, command: str = CLOSED, room: str | None = None) -> Said:
        """Anna raises an alert; its card in the room of operations."""
        await self.anna.says(room or self.ops, command)
        return self.card(self.ops)

    def card(self, room: str) -> Said:
        """The first card in the room, as it reads now."""
        return next(each for each in self.story.said(room) if each.rings)

    async def alert(self, number: int = 1) -> Alert:
        """The alert as it is stored."""
        async with self.story.database.transaction() as tx:
            found = await tx.alerts.find(number)
        assert found is not None
        return found

    async def answers(self, number: int = 1) -> list[Answered]:
        """Every answer, oldest first."""
        async with self.story.database.transaction() as tx:
            return await tx.alerts.answers(number)

    async def history(self, about: str = "A-1") -> list[Transition]:
        """What happened to an alert, oldest first."""
        async with self.story.database.transaction() as tx:
            return await tx.transitions.of(about)


async def set_scene(story: Story) -> Scene:
    """Everyone in place, nothing said yet."""
    anna = await story.member("anna", Role.LIAISON, zone="America/Toronto")
    cho = await story.member("cho", Role.OFFICER, agency="CBP")
    sue = await story.member("sue", Role.SUPERVISOR, agency="CBP")
    opal = await story.member("opal", Role.OFFICER, agency="OPP")
    otto = await story.member("otto", Role.OBSERVER, agency="OPP")
    root = await story.member("root", Role.ADMIN)
    ops = await story.room("ops", ["ops"], [anna, cho, opal, otto], zone="America/Toronto", reactions=True)
    sea = await story.room("sea", ["ops", "marine"], [cho], zone="America/Toronto")
    return Scene(story, anna, cho, sue, opal, otto, root, ops, sea)
