"""The `tandem` command: every error is one line with its mend, never a traceback."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version as installed
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError
from typer.exceptions import TyperException

from bot.alone import AlreadyRunning
from bot.cli import accounts, asking, checking, identities, records, running
from bot.demo.homeserver import HomeserverError
from bot.demo.officer import Unanswered
from bot.matrix.errors import MatrixError, SignedOut
from bot.runtime.failure import described
from bot.toml_file import ConfigError
from storage.encryption import WrongMasterKey
from storage.migrations import NewerDatabase

PRIVATE = 0o077  # what is made is for this user's eyes only

app = typer.Typer(
    help="A bot in end-to-end encrypted Matrix rooms, for officers who work together across a border.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
database = typer.Typer(help="The database.", no_args_is_help=True)
audit = typer.Typer(help="The audit record.", no_args_is_help=True)
app.add_typer(database, name="db")
app.add_typer(audit, name="audit")
account = typer.Typer(help="The bot's Matrix account.", no_args_is_help=True)
app.add_typer(account, name="account")
identity = typer.Typer(help="The bot's cross-signing identity.", no_args_is_help=True)
app.add_typer(identity, name="identity")

Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="TANDEM_CONFIG", help="The configuration.", show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for a script.")]
HERE = Path("config.toml")


@app.command()
def init(
    config: Config = HERE,
    homeserver: Annotated[str | None, typer.Option(help='Its address, or "embedded".')] = None,
    user: Annotated[str | None, typer.Option(help="The bot's user there.")] = None,
    admin: Annotated[list[str] | None, typer.Option(help="An admin's user id; may be repeated.")] = None,
    agency: Annotated[str | None, typer.Option(help="The admins' agency, a short code.")] = None,
    agency_name: Annotated[str | None, typer.Option(help="The agency's name.")] = None,
    language: Annotated[str | None, typer.Option(help="Of rooms: en or fr.")] = None,
    zone: Annotated[str | None, typer.Option(help="Of rooms: as America/Toronto.")] = None,
    data: Annotated[
        str | None, typer.Option(help="The data folder, from the configuration's folder.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what is there, but for the master key.")
    ] = False,
) -> None:
    """Write a configuration, and its secrets into files of their own. Asks for what is not given.

    Without a terminal, the password is taken from TANDEM_MATRIX_PASSWORD.
    """
    code = asking.found(
        config,
        asking.keyboard(),
        force=force,
        homeserver=homeserver,
        user=user,
        password=os.environ.get("TANDEM_MATRIX_PASSWORD"),
        admins=tuple(admin or ()),
        agency=agency,
        agency_name=agency_name,
        language=language,
        zone=zone,
        data=data,
    )
    raise typer.Exit(code)


@app.command()
def run(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", envvar="TANDEM_CONFIG", help="The configuration.")
    ] = None,
    console: Annotated[
        bool, typer.Option("--console", help="Talk with the bot in this terminal, on its own homeserver.")
    ] = False,
) -> None:
    """Run the bot, until it is told to stop."""
    raise typer.Exit(running.run_console(config) if console else running.run_bot(config or HERE))


@app.command()
def demo() -> None:
    """A guided tour with five officers on a throw-away homeserver."""
    raise typer.Exit(running.run_tour())


@app.command()
def check(config: Config = HERE, json: Json = False) -> None:
    """Look at everything that the bot needs, and say how to mend it."""
    raise typer.Exit(checking.run_check(config, as_json=json))


@database.command()
def upgrade(config: Config = HERE, json: Json = False) -> None:
    """Bring the database to this release's revision; a start does it too."""
    raise typer.Exit(records.run_upgrade(config, as_json=json))


@audit.command()
def verify(
    config: Config = HERE,
    json: Json = False,
    posted: Annotated[
        list[str] | None, typer.Option(help="A head that was kept elsewhere, PLACE:HASH; may be repeated.")
    ] = None,
) -> None:
    """Say whether the record is as it was written, or which entry is the first that does not fit."""
    raise typer.Exit(records.run_verify(config, posted or [], as_json=json))


@audit.command()
def export(
    config: Config = HERE,
    since: Annotated[str | None, typer.Option(help="From this day or instant on, UTC.")] = None,
    form: Annotated[
        records.Format, typer.Option("--format", help="json: an entry a line.")
    ] = records.Format.CSV,
) -> None:
    """Write the record to stdout, oldest entry first."""
    raise typer.Exit(records.run_export(config, since, form))


@account.command()
def renew(config: Config = HERE) -> None:
    """Give up the bot's device, as after restoring a backup: the next start signs in as a new one."""
    raise typer.Exit(accounts.run_renew(config))


@identity.command()
def show(config: Config = HERE, json: Json = False) -> None:
    """The fingerprints to compare, and whether the identity is saved under a recovery key."""
    raise typer.Exit(identities.run_show(config, as_json=json))


@account.command("recovery-key", hidden=True)  # its name in earlier releases
@identity.command("recovery-key")
def recovery_key(config: Config = HERE) -> None:
    """Put the bot's identity into secret storage, and show the key once that opens it in any client."""
    raise typer.Exit(identities.run_recovery_key(config))


@identity.command()
def recover(
    config: Config = HERE,
    recovery_key_file: Annotated[
        Path | None, typer.Option(help="A file with the recovery key; asked for otherwise.")
    ] = None,
) -> None:
    """After the loss of the database: fetch the identity back with its recovery key, into an empty one."""
    raise typer.Exit(identities.run_recover(config, recovery_key_file))


@app.command()
def version(json: Json = False) -> None:
    """Which release this is."""
    number = installed("tandem")
    print(f'{{"tandem": "{number}"}}' if json else f"tandem {number}")


def main() -> None:
    """The console script."""
    os.umask(PRIVATE)
    sys.exit(outcome(sys.argv[1:]))


def outcome(arguments: Sequence[str]) -> int:
    """Do what is asked; the exit code, after one line about what went wrong."""
    try:
        return app(list(arguments), standalone_mode=False) or 0
    except TyperException as error:
        return _misused(error)
    except (typer.Abort, KeyboardInterrupt, EOFError):
        return _complain("given up; nothing was done", 130)
    except BrokenPipeError:  # whoever read has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the rim: people get a line
        if os.environ.get("TANDEM_DEBUG"):
            traceback.print_exception(error)
        return _complain(in_a_line(_first(error)))


def _misused(error: TyperException) -> int:
    """A command line that is wrong; without a command, there is only the help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "tandem"
    said = error.format_message()
    if not said:  # the help of a group whose command is missing has been printed by typer
        return error.exit_code
    return _complain(f"{said.rstrip('.')}; see: {path} --help", error.exit_code)


def _complain(line: str, code: int = 1) -> int:
    print(f"tandem: {line}", file=sys.stderr)
    return code


def _first(error: BaseException) -> BaseException:
    """The first real error inside groups of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def in_a_line(error: BaseException) -> str:
    """What went wrong and how to mend it."""
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words(error)
    place = described(error)
    return f"this should not have happened: {place['error']} at {place['at']}; please report this line"


def _of_the_database(error: BaseException) -> str:
    reason = type(getattr(error, "orig", None) or error).__name__
    return f"the database does not answer as it should ({reason}); tandem check says more"


def _of_the_system(error: BaseException) -> str:
    what = getattr(error, "filename", None) or "the system refuses"
    return f"{what}: {getattr(error, 'strerror', None) or type(error).__name__}"


_WORDS: dict[type[BaseException], Callable[[BaseException], str]] = {
    ConfigError: str,
    AlreadyRunning: str,
    HomeserverError: str,
    SignedOut: lambda error: (
        "the homeserver has ended the bot's sign-in; tandem account renew, then start it"
    ),
    MatrixError: str,
    Unanswered: str,
    NewerDatabase: str,
    WrongMasterKey: lambda error: f"{error}; give the key with which it was made (master_key_file)",
    SQLAlchemyError: _of_the_database,
    OSError: _of_the_system,
}
