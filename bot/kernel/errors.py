"""What an officer can mend: raised anywhere, it rolls everything back and its text is the answer.

BotError
|- NotUnderstood   the words are wrong: a caret points at the first one
|- NotAllowed      the words are right, but not hers to say
|- NotFound        no such thing, or none that she may know of
'- Conflict        the thing is not in a state for this, or another was faster
"""

from collections.abc import Sequence

from bot.kernel.language import Text


class BotError(Exception):
    """Something wrong with a command.

    `said` is the first thing wrong; `argument` the name of the parameter it is about, for the caret;
    `allowed` what would be right, and `choices` its list; `instead` the text to put in the argument's
    place and `example` a whole command, either of which makes the correction that is ready to copy;
    `code` is for the audit record.
    """

    code = "error"

    def __init__(
        self,
        said: Text,
        *,
        argument: str | None = None,
        allowed: Text | None = None,
        choices: Sequence[Text | str] = (),
        instead: str | None = None,
        example: str | None = None,
    ) -> None:
        super().__init__(said.one)
        self.said = said
        self.argument = argument
        self.allowed = allowed
        self.choices = choices
        self.instead = instead
        self.example = example


class NotUnderstood(BotError):
    """A word that is not of its type, missing, or too much; `span` is where, in characters.

    `mends` is what `instead` takes the place of, where that is more than the span. `asks`: only the
    officer can say what was meant, so nothing is proposed in its place.
    """

    code = "not_understood"
    span: tuple[int, int] | None = None
    mends: tuple[int, int] | None = None
    asks = False


class NotAllowed(BotError):
    """The caller lacks the role, the agency or the room for it."""

    code = "not_allowed"


class NotFound(BotError):
    """Nothing has this name or number."""

    code = "not_found"


class Conflict(BotError):
    """The object's state, or another officer, stands in the way."""

    code = "conflict"


class DeliveryRefused(Exception):
    """A messenger could not deliver: `reason` is a word for it, `permanent` whether to try again is vain."""

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
