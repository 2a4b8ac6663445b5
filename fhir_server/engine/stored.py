"""One stored version, opened: its address, its exact JSON, and the bytes that go to the wire.

The truth is kept with `resourceType`, `id` and `meta` first and without the two elements of `meta` that the server
gives (versionId, lastUpdated): they are spliced in, so that nothing is ever serialised again.
https://hl7.org/fhir/R4/resource.html#Meta
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from fhir_server.engine.attached import Attached, Outline, outline, written
from fhir_server.fhir.view import View
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json


def truth(key: ResourceKey, resource: Json) -> bytes:
    """What is sealed: the resource as it came, its own `id`, and `meta` without what the server gives."""
    return json.encode(_ordered(key, resource))


def truth_outline(key: ResourceKey, resource: Json) -> Outline:
    """The same of a resource in which some texts are Attached."""
    return outline(_ordered(key, resource))


def _ordered(key: ResourceKey, resource: Json) -> Json:
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in _GIVEN}
    first = {"resourceType": key.type, "id": key.id, "meta": meta}
    # They keep the places of their first mention, and the values of their last.
    return {**first, **resource, **first}


_GIVEN = frozenset({"versionId", "lastUpdated"})


@dataclass(frozen=True)
class Stored:
    """`raw` is the store's own form of the row; nobody else looks into it.

    `access`: references of the compartments it lies in. `subjects`: ids of the patients it names. `seq` orders rows.
    `outline`: where text that lies beside the truth belongs, if there is any. `author`: who wrote this version, sealed
    with it; empty where that is not known. `masked_from`: what this is a masked copy of.
    """

    key: ResourceKey
    version: int
    seq: int
    last_updated: datetime
    truth: bytes
    access: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    deleted: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    outline: Outline | None = field(default=None, compare=False, repr=False)
    author: str = ""
    masked_from: "Stored | None" = field(default=None, compare=False, repr=False)

    @property
    def method(self) -> str:
        """The HTTP verb that made this version; told in a history, relied on by nothing."""
        return str(self.raw.get("method", "PUT"))

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'

    def showing(self, resource: Json) -> "Stored":
        """The same version with less in it, made of `resource`."""
        if not self.attached:
            return replace(self, truth=truth(self.key, resource), outline=None)
        shown = truth_outline(self.key, resource)
        return replace(self, truth=shown.text, outline=shown)

    def seen_through(self, view: View) -> "Stored":
        """What a client wants to be shown of it; itself where that is all."""
        return self if view.is_whole or self.deleted else self.showing(view.of(self.resource))

    def is_named_by(self, tags: str) -> bool:
        """Does a list of tags, or `*`, name this version? Compared weakly (RFC 9110 section 13.1.2)."""
        wanted = f'"{self.version}"'
        return any(tag.strip().removeprefix("W/") in {wanted, "*"} for tag in tags.split(","))

    @property
    def attached(self) -> tuple[Attached, ...]:
        """What lies beside it."""
        found = self._outline
        return tuple(place.attached for place in found.places) if found else ()

    @cached_property
    def wire(self) -> bytes:
        """The resource as JSON bytes, `meta` complete. Empty for a deletion.

        Raises TypeError where text lies beside it: then `pieces` tell what goes to the wire.
        """
        if self._outline:
            raise TypeError("Text of this resource lies beside it; write its pieces, or make it whole.")
        return self._spliced

    @cached_property
    def pieces(self) -> tuple[bytes | Attached, ...]:
        """What goes to the wire, in order."""
        found = self._outline
        return found.within(self._spliced).pieces() if found else (self._spliced,)

    @cached_property
    def resource(self) -> Json:
        """The resource as a value; shared, so never to be changed in place. What lies beside it is Attached in it."""
        if found := self._outline:
            return found.within(self._spliced).parsed()
        value: Json = json.decode_trusted(self._spliced) if self._spliced else {}
        return value

    def part(self, elements: frozenset[str]) -> Json:
        """Its type and these elements alone, which is much less to parse; empty for a deletion."""
        if "resource" in self.__dict__ or self._outline or self.deleted:
            return self.resource
        return {"resourceType": self.key.type, **json.decode_part(self._spliced, elements)}

    async def whole(self) -> "Stored":
        """The same with all of its text in memory, to be edited."""
        found = self._outline
        if not found:
            return self
        return replace(self, truth=b"".join([part async for part in written(found.pieces())]), outline=None)

    @property
    def _outline(self) -> Outline | None:
        """None where all of it is in the truth. A truth put in the place of the outline's has none of its texts."""
        found = self.outline
        return found if found is not None and found.places and found.text is self.truth else None

    @cached_property
    def _spliced(self) -> bytes:
        if self.deleted:
            return b""
        head = f'{{"resourceType":"{self.key.type}","id":"{self.key.id}","meta":{{'.encode()
        given = f'"versionId":"{self.version}","lastUpdated":"{instant(self.last_updated)}"'.encode()
        tail = self.truth[len(head) :]
        return b"".join((head, given, b"" if tail[:1] == b"}" else b",", tail))
