"""What the log shows of itself, so that nobody has to take our word: checkpoints, tiles, proofs.

https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-proof; RFC 9162 section 2.1. The tree proves that nothing was changed
or taken out, not that everything was recorded.
"""

import base64
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from fhir_server.audit.ports import LogEntry, LogTree
from fhir_server.crypto import checkpoint, tree
from fhir_server.crypto.tree import HASH, WIDTH, Span, TileId
from fhir_server.engine.attempts import Attempt, disclosing
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.errors import InvalidRequestError, NotFoundError, UnavailableError
from fhir_server.kernel.json import Json

_TILE = re.compile(r"([0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]{1,3}))?", re.ASCII)
_HEAD = "c2sp.org/tlog-proof@v1"
_MOST_TILE_PATH = 64


class Proofs:
    """`key` is the verifier key of the log; `assurance` says who else vouches for it at this moment."""

    def __init__(self, engine: Engine, log: LogTree, key: str, assurance: Callable[[], Awaitable[str]]) -> None:
        self._engine, self._log, self.key, self.assurance = engine, log, key, assurance

    async def checkpoint(self) -> str:
        """The newest one, as it was signed."""
        note = await self._log.newest()
        if note is None:
            raise NotFoundError("Nothing was recorded yet.")
        return note

    async def tile(self, path: str) -> tuple[bytes, bool]:
        """The hashes of a tile by its path below `tile/`, and whether they are for good."""
        found = _TILE.fullmatch(path) if len(path) <= _MOST_TILE_PATH else None
        if found is None:
            raise NotFoundError("There is no such tile.")
        id = TileId(int(found[1]), int(found[2].replace("x", "").replace("/", "")))
        width = int(found[3] or WIDTH)
        hashes = (await self._log.tiles([id])).get(id, b"")
        if tree.path_of(id, width) != path or not 0 < width * HASH <= len(hashes):
            raise NotFoundError("There is no such tile.")
        return hashes[: width * HASH], width == WIDTH

    async def included(self, call: Call) -> Json:
        """`AuditEvent/[id]/$proof`: that this event is in the log, and that it is as it was written."""
        reading = replace(call, interaction=Interaction.READ, operation=None)

        async def once(attempt: Attempt) -> Json:
            await self._engine.steps.admit(reading)
            seen = await self._engine.look(reading)
            attempt.disclosed.append(seen)
            entry = await self._log.entry(seen.key.id)
            note = await self._log.newest()
            if entry is None or note is None:
                raise UnavailableError("The event is not in the tree yet; try again.")
            return await self._told(entry, note)

        return await disclosing(self._engine.steps, call, once)

    async def grown(self, call: Call, old: str | None) -> Json:
        """`AuditEvent/$proof?old=…`: that the log of that size is the beginning of the log of now."""
        asking = replace(call, interaction=Interaction.SEARCH_TYPE, operation=None)

        async def once(attempt: Attempt) -> Json:
            await self._engine.steps.admit(asking)
            note = await self.checkpoint()
            size = checkpoint.parsed(note).size
            if old is None or not (old.isascii() and old.isdigit()) or int(old) > size:
                raise InvalidRequestError(f"old is a size that the log had: from 0 to {size}.")
            hashes = await self.hashes(tree.consistency(int(old), size))
            return _parameters(
                [
                    ("old", "UnsignedInt", int(old)),
                    ("new", "UnsignedInt", size),
                    ("proof", "String", "".join(f"{_base64(hashed)}\n" for hashed in hashes)),
                    ("checkpoint", "String", note),
                    ("key", "String", self.key),
                    ("assurance", "Code", await self.assurance()),
                ]
            )

        return await disclosing(self._engine.steps, call, once)

    async def hashes(self, spans: Sequence[Span]) -> list[bytes]:
        tiles = await self._log.tiles(sorted(tree.needed(spans)))
        try:
            return [tree.hash_of(span, tiles) for span in spans]
        except (KeyError, ValueError):
            raise UnavailableError("The tree of the log lacks a tile.") from None

    async def _told(self, entry: LogEntry, note: str) -> Json:
        size = checkpoint.parsed(note).size
        hashes = await self.hashes(tree.inclusion(entry.index, size))
        return _parameters(
            [
                ("event", "Base64Binary", _base64(entry.event)),
                ("salt", "Base64Binary", _base64(entry.salt)),
                ("entry", "Base64Binary", _base64(entry.entry)),
                ("proof", "String", inclusion_text(entry.index, hashes, note)),
                ("key", "String", self.key),
                ("assurance", "Code", await self.assurance()),
            ]
        )


def inclusion_text(index: int, hashes: Sequence[bytes], note: str) -> str:
    """As C2SP writes it: whoever has the entry needs nothing else but the key."""
    lines = [_HEAD, f"index {index}", *(_base64(hashed) for hashed in hashes)]
    return "\n".join(lines) + f"\n\n{note}"


def _parameters(told: Sequence[tuple[str, str, str | int]]) -> Json:
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, f"value{type}": value} for name, type, value in told],
    }


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
