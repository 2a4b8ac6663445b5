"""Large base64 data leaves a row before it is committed; what the version before it has already is not kept again.

sealed-storage section 5. Nearly every row is smaller than the least data that leaves, and costs a look at its length.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataKey
from fhir_server.engine.attached import Attached, Path, with_attached
from fhir_server.engine.integrity import LOG
from fhir_server.engine.stored import truth_outline
from fhir_server.fhir.elements import base64_properties
from fhir_server.kernel.errors import TooLargeError
from fhir_server.store.attachments import Attachment, Attachments
from fhir_server.store.base64_text import plain
from fhir_server.store.documents import Row
from fhir_server.store.outlines import framed

MOST_WITHIN = 1 << 20
"""Characters of base64 text that stay in the resource; what is longer leaves it. It is R4's limit for a string."""
MOST_ATTACHED = 100
"""How much large data one resource may have."""


class Attaching:
    """Of resources. An event of the log is written once, and whole."""

    def __init__(self, attachments: Attachments, keyring: Keyring) -> None:
        self._attachments, self._keyring = attachments, keyring

    async def rows(self, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        """The rows, their large data sealed and *pending* beside them. Where it fails, nothing is left of it."""
        if all(len(row.truth) <= MOST_WITHIN for row in rows):
            return rows
        done = dict(enumerate(rows))
        try:
            for index, row in enumerate(rows):
                done[index] = await self._row(row) if len(row.truth) > MOST_WITHIN else row
        except Exception:
            await self.undo(done.values())
            raise
        return tuple(done.values())

    async def undo(self, rows: Iterable[Row]) -> None:
        """They were not committed."""
        for row in rows:
            await self._attachments.discard(row.brought)

    async def _row(self, row: Row) -> Row:
        resource = None if row.change.key.type == LOG else row.change.resource
        found = list(_large(resource)) if resource is not None else []
        if resource is None or not found:
            return row
        if len(found) > MOST_ATTACHED:
            raise TooLargeError(f"A resource has at most {MOST_ATTACHED} elements with more than 1 MiB of base64.")
        key = (await self._keyring.data_keys([row.owners]))[row.owners]
        known = {one.description.content_key: one for one in _before(row, key)}
        attached: dict[Path, Attached] = {}
        brought: list[str] = []
        try:
            for path, text in found:
                data = await asyncio.to_thread(plain, text)
                if data.content_key not in known:
                    known[data.content_key] = await self._attachments.put(data, row.change.key, key)
                    brought.append(known[data.content_key].description.place.id)
                attached[path] = known[data.content_key]
        except Exception:
            await self._attachments.discard(brought)
            raise
        outline = truth_outline(row.change.key, with_attached(resource, attached))
        return row._replace(framed=framed(outline), brought=tuple(brought), framed_under=key.id)


def _before(row: Row, key: DataKey) -> Iterator[Attachment]:
    """What the version before has, as far as the same key opens it: a change of patient changes the key."""
    for one in row.change.previous.attached if row.change.previous else ():
        if isinstance(one, Attachment) and one.key == key.id:
            yield one


def _large(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:  # noqa: ANN401  JSON is any value
    """Base64 content that is too long to stay, wherever it stands: contained, in extensions, in a stored Bundle."""
    if isinstance(value, dict):
        for name, child in value.items():
            if isinstance(child, str):
                if len(child) > MOST_WITHIN and name in base64_properties() and child.isascii():
                    yield (*path, name), child
            else:
                yield from _large(child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _large(child, (*path, index))
