"""The dispatcher: each event has its effect once, and each answer says what to do."""

from bot.kernel.vocabulary import Role
from storage.transaction import Database
from tests.story import Story
from tests.toys import toys


async def test_a_command_is_answered_by_a_reply_and_recorded(database: Database) -> None:
    story = await Story.begin(database, [toys])
    anna = await story.member("anna", Role.OFFICER)
    ops = await story.room("ops", members=[anna])
    answer = await anna.says(ops, "!toy small Red ball to=ops")
    assert answer == "T-1 small: Red ball ×1 in 10 min"
    assert answer.reply_to == story.last_event
