"""What can go wrong with Matrix; each text is one line and says how to mend it.

MatrixError
    Unreachable      no answer, or none that can be used: try again later
    Rejected         the homeserver says no, with an errcode
        SignedOut    the access token is no longer valid
    LoginRefused     password or token were not accepted
    ForeignIdentity  keys on the bot's account that are not the bot's
    SendRefused      we ourselves do not send this
"""

TOO_LARGE = "too_large"  # the reason of a SendRefused


class MatrixError(Exception):
    """Any of these; `str()` is one line for people."""


class Unreachable(MatrixError):
    """No usable answer; `retry_after` is what the homeserver asked for, in seconds (None: nothing)."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Rejected(MatrixError):
    """The homeserver answered with a Matrix error; `body` is its JSON."""

    def __init__(self, status: int, errcode: str, body: dict[str, object]) -> None:
        super().__init__(f"the homeserver refused this ({status} {errcode}); see its log for why")
        self.status = status
        self.errcode = errcode
        self.body = body


class SignedOut(Rejected):
    """The token was revoked."""

    def __init__(self, status: int = 401, errcode: str = "M_UNKNOWN_TOKEN") -> None:
        super().__init__(status, errcode, {})
        self.args = ("the homeserver has ended this sign-in; sign in anew with the password",)


class LoginRefused(MatrixError):
    """Password or token were not accepted."""


class ForeignIdentity(MatrixError):
    """The account carries keys that are not the bot's own; an operator must look."""


class SendRefused(MatrixError):
    """We do not send this: `reason` is a word for it, `permanent` whether trying again is of no use."""

    def __init__(self, reason: str, permanent: bool) -> None:
        super().__init__(f"not sent: {reason}" + ("" if permanent else "; it is tried again"))
        self.reason = reason
        self.permanent = permanent
