"""A version of a resource, a photo, a patient's consents in force: each as one line of an archive; and back. Pure.

HDS certification referential (2024), requirement 27. The same version makes the same line in every clinic that has it:
nothing in a line names the server, so two archives are compared by the SHA-256 of their lines.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.crypto.errors import ArchiveError
from fhir_server.engine.attached import written
from fhir_server.engine.integrity import LOG
from fhir_server.engine.ports import Head
from fhir_server.engine.stored import Stored, truth
from fhir_server.fhir.definitions import served_types
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import MalformedError
from fhir_server.kernel.identity import ResourceKey, is_id, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.media.ports import Photo

_MARK = b',"resource":'
_MOST_SEQ = 1 << 62
_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Version:
    """One version as it was: `seq` is its lastUpdated in microseconds since 1970. `resource` is None for a deletion."""

    key: ResourceKey
    version: int
    seq: int
    method: str
    author: str
    subjects: tuple[str, ...]
    resource: Json | None

    @property
    def truth(self) -> bytes:
        return b"{}" if self.resource is None else truth(self.key, self.resource)


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo without its bytes."""

    id: str
    owner: ResourceKey
    subjects: tuple[str, ...]
    media_type: str
    length: int


async def line_of(stored: Stored) -> bytes:
    """Without the line feed. The resource comes last, exactly as a read gives it."""
    front: Json = {
        "type": stored.key.type,
        "id": stored.key.id,
        "version": stored.version,
        "lastUpdated": instant(stored.last_updated),
        "seq": stored.seq,
        "method": stored.method,
        "author": stored.author,
        "subjects": list(stored.subjects),
    }
    if stored.deleted:
        return b"".join((json.encode(front)[:-1], _MARK, b"null}"))
    text = [part async for part in written(stored.pieces)]
    return b"".join((json.encode(front)[:-1], _MARK, *text, b"}"))


def version_of(line: bytes) -> Version:
    """Raises ArchiveError for what `line_of` did not make."""
    # Apart: a resource may nest as deep as any text may. A string cannot hold the mark, its quotes would be escaped.
    front, _, rest = line.partition(_MARK)
    try:
        said, resource = json.decode(front + b"}"), json.decode(rest[:-1])
        texts = [said[name] for name in ("type", "id", "method", "author")]
        version, seq, subjects = said["version"], said["seq"], _ids(said["subjects"])
    except (MalformedError, KeyError, TypeError):
        raise _broken() from None
    type, id, method, author = texts
    counts = isinstance(version, int) and isinstance(seq, int) and version >= 1 and 0 < seq < _MOST_SEQ
    if not (counts and all(isinstance(text, str) for text in texts) and is_id(id) and method in _METHODS):
        raise _broken()
    named = isinstance(resource, dict) and (resource.get("resourceType"), resource.get("id")) == (type, id)
    if type not in served_types() - {LOG} or not (named or resource is None):
        raise _broken()
    return Version(ResourceKey(type, id), version, seq, method, author, subjects, resource)


def listed_as(key: ResourceKey, version: int, line: bytes) -> bytes:
    """As the list of versions has it: type, id, version, SHA-256 of the line."""
    return json.encode([key.type, key.id, version, hashlib.sha256(line).hexdigest()])


def picture_line(photo: Photo) -> bytes:
    return json.encode(
        {
            "id": photo.id,
            "owner": str(photo.owner),
            "subjects": list(photo.subjects),
            "mediaType": photo.media_type,
            "length": photo.length,
        }
    )


def picture_of(line: bytes) -> Picture:
    try:
        said = json.decode(line)
        id, media_type, length = said["id"], said["mediaType"], said["length"]
        owner, subjects = parse_reference(said["owner"]) or _nobody(), _ids(said["subjects"])
    except (MalformedError, KeyError, TypeError, AttributeError):
        raise _broken() from None
    if not (isinstance(length, int) and length >= 0 and isinstance(media_type, str) and is_id(str(id))):
        raise _broken()
    return Picture(id, owner, subjects, media_type, length)


def head_line(head: Head) -> bytes:
    in_force = {str(consent): version for consent, version in sorted(head.consents.items())}
    return json.encode({"patient": head.patient, "consents": in_force})


def head_of(line: bytes) -> tuple[str, Mapping[ResourceKey, int]]:
    try:
        said = json.decode(line)
        [patient] = _ids([said["patient"]])
        consents = {parse_reference(name) or _nobody(): int(version) for name, version in said["consents"].items()}
    except (MalformedError, KeyError, TypeError, AttributeError, ValueError):
        raise _broken() from None
    return patient, consents


def _ids(found: object) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(one, str) and is_id(one) for one in found):
        raise _broken()
    return tuple(found)


def _nobody() -> ResourceKey:
    raise _broken()


def _broken() -> ArchiveError:
    return ArchiveError("A line of the archive is not one that this server writes.")
