"""The `tandem` command: every error is one line with its mend, never a traceback."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from bot.app import AlreadyRunning
from bot.cli import running
from bot.demo.homeserver import HomeserverError
from bot.demo.officer import Unanswered
from bot.matrix.errors import MatrixError
from bot.runtime.failure import described
from bot.toml_file import ConfigError
from storage.encryption import WrongMasterKey

PRIVATE = 0o077  # what is made is for this user's eyes only

app = typer.Typer(
    name="tandem",
    help="A bot in end-to-end encrypted Matrix rooms, for officers who work together across a border.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="TANDEM_CONFIG", help="The configuration; config.toml here."),
]


@app.command()
def run(
    config: Config = None,
    console: Annotated[
        bool, typer.Option("--console", help="Talk with the bot in this terminal, on its own homeserver.")
    ] = False,
) -> None:
    """Run the bot."""
    raise typer.Exit(running.run_console(config) if console else running.run_bot(config))


@app.command()
def demo() -> None:
    """A guided tour with five officers on a throw-away homeserver."""
    raise typer.Exit(running.run_tour())


@app.command()
def version() -> None:
    """Which release this is."""
    from importlib.metadata import version as installed

    print(f"tandem {installed('tandem')}")


def main() -> None:
    """The console script."""
    os.umask(PRIVATE)
    try:
        app()
    except BaseExceptionGroup as group:
        _end(_first(group))
    except Exception as error:  # the rim: people get a line
        _end(error)


def _first(error: BaseException) -> BaseException:
    """The first real error inside groups of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _end(error: BaseException) -> None:
    print(f"tandem: {in_a_line(error)}", file=sys.stderr)
    sys.exit(1)


def in_a_line(error: BaseException) -> str:
    """What went wrong and how to mend it."""
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words(error)
    place = described(error)
    return f"this should not have happened: {place['error']} at {place['at']}; please report this line"


_WORDS: dict[type[BaseException], Callable[[BaseException], str]] = {
    ConfigError: str,
    AlreadyRunning: str,
    HomeserverError: str,
    MatrixError: str,
    Unanswered: str,
    WrongMasterKey: lambda error: f"{error}; give the key with which it was made (see master_key_file)",
    SQLAlchemyError: lambda error: (
        f"the database does not answer as it should ({type(getattr(error, 'orig', None) or error).__name__});"
        " tandem check says more"
    ),
    OSError: lambda error: (
        f"{getattr(error, 'filename', None) or 'the system'}: {getattr(error, 'strerror', error)}"
    ),
}
