"""The process in which the embedded Synapse runs: it ends when the process that started it ends.

Started by `bot.demo.homeserver` as `python -m bot.demo.synapse_child CONFIG`, with a pipe as standard input.
Nobody writes to that pipe: it closes when the parent goes, however it goes, and that is the sign to leave.
Unlike the parent-death signal of Linux, this works on every system.
"""

import contextlib
import os
import runpy
import signal
import sys
import threading

LAST_WORDS_SECONDS = 5.0


def leave_with_parent() -> None:
    """Wait for the end of standard input; then stop Synapse in order, or abruptly if that takes too long."""
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(LAST_WORDS_SECONDS)
    os._exit(1)


def main() -> None:
    """Run Synapse with the configuration file named on the command line."""
    os.umask(0o077)
    threading.Thread(target=leave_with_parent, daemon=True).start()
    sys.argv = ["synapse", "--config-path", sys.argv[1]]
    runpy.run_module("synapse.app.homeserver", run_name="__main__")


if __name__ == "__main__":
    main()
