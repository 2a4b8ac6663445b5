"""A witness that is a folder: on other storage than the database, best where it can only be written once.

It keeps every checkpoint that it was shown, and refuses one that does not continue the last. Whoever runs the server
may run it too, so it does not make the log independent of them; but nobody with the database alone rolls it back.
"""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

from fhir_server.audit.anchoring import AnchorError, Prove
from fhir_server.audit.judging import require_grown
from fhir_server.crypto import checkpoint

_NEWEST, _ALL = "checkpoint", "checkpoints"


class FileWitness:
    name = "file"
    is_independent = False
    every = timedelta()

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def vouch(self, note: str, prove: Prove) -> str:
        try:
            await require_grown(await asyncio.to_thread(self.kept), note, prove)
            await asyncio.to_thread(self._keep, note)
        except OSError as error:
            raise AnchorError(f"its folder cannot be used ({type(error).__name__})") from None
        return f"kept in {_ALL}"

    def confirmed(self, note: str, said: str) -> str:
        """It signs nothing: what it kept is compared by whoever verifies."""
        return f"{checkpoint.parsed(note).size} events, {said}: a folder of our own"

    def kept(self) -> str | None:
        """The newest checkpoint that it was shown."""
        try:
            return (self._folder / _NEWEST).read_text()
        except FileNotFoundError:
            return None

    def _keep(self, note: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / _ALL).open("a") as file:
            file.write(f"{note}\n")
            file.flush()
            os.fsync(file.fileno())
        draft = self._folder / f".{_NEWEST}"
        draft.write_text(note)
        draft.replace(self._folder / _NEWEST)
