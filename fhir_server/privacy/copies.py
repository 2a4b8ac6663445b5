"""`Patient/[id]/$export-my-data`: a copy of all that concerns a patient, as an archive that opens without software.

GDPR Art. 15(3), 20; rows S49, S52, S55, S109. What comes is what `$everything` gives to the same caller, each photo
decided on again as its bytes are packed. Whatever can no longer be had once it began cuts the archive off: one that
ends well is whole.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from fhir_server.audit.access_log import AccessLog, is_own
from fhir_server.engine.attached import written
from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.page import Page
from fhir_server.engine.position import Position
from fhir_server.engine.stored import Stored
from fhir_server.kernel import json
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import GoneError, NoLegalBasisError, NotFoundError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.media.delivery import Delivery
from fhir_server.media.photos_within import carries_photo, photo_id
from fhir_server.privacy.packing import Packer
from fhir_server.privacy.receipt import Scribe
from fhir_server.privacy.viewer import Line, access_of, line_of, page
from fhir_server.search.everything import everything
from fhir_server.search.several import Several

_FHIR = "application/fhir+json"
_AT_ONCE = "200"
_FILE_NAMES: Mapping[str, str] = {"image/jpeg": ".jpg", "image/svg+xml": ".svg", "model/gltf-binary": ".glb"}


@dataclass(slots=True)
class _Told:
    """What was packed, for the page and the manifest."""

    seen: set[ResourceKey] = field(default_factory=set)
    types: Counter[str] = field(default_factory=Counter)
    lines: list[Line] = field(default_factory=list)
    photos: dict[str, Json] = field(default_factory=dict)

    def add(self, stored: Stored) -> None:
        resource = stored.resource
        self.types[stored.key.type] += 1
        self.lines.append(line_of(resource))
        if carries_photo(resource):
            self.photos[photo_id(resource)] = resource

    def fresh(self, page: Page) -> list[Stored]:
        """Those of a page that no earlier one had."""
        found = {one.key: one for one in (*page.matches, *page.included) if one.key not in self.seen}
        self.seen.update(found)
        return list(found.values())


class Copies:
    """`base`: of the addresses of resources; `clinic`: who hands the copy over."""

    def __init__(
        self, engine: Engine, delivery: Delivery, access_log: AccessLog, scribe: Scribe, base: str, clinic: str
    ) -> None:
        self._engine, self._delivery, self._access_log = engine, delivery, access_log
        self._scribe, self._base, self._clinic = scribe, base, clinic

    async def counted(self, call: Call) -> Mapping[str, int]:
        """How many of each type it would hold."""
        told, asked = _Told(), self._asked(call)
        await self.allowed(call)
        async for found in self._pages(call, asked):
            told.types.update(stored.key.type for stored in told.fresh(found))
        return dict(sorted(told.types.items()))

    async def archive(self, call: Call, language: str) -> AsyncIterator[bytes]:
        """The bytes of a ZIP file. Raises NotFoundError before the first where there is no such patient."""
        asked, told, packer = self._asked(call), _Told(), Packer(call.instant)
        await self.allowed(call)
        async for part in packer.file("bundle.json", _FHIR, self._bundle(call, asked, told)):
            yield part
        photos: dict[str, str] = {}
        for id, media in told.photos.items():
            async for part in self._photo(call, packer, id, media, photos):
                yield part
        events = await self._events(call)
        if events:
            log = json.encode({"resourceType": "Bundle", "type": "collection", "entry": _entries(events)})
            async for part in packer.file("access-log.json", _FHIR, _once(log)):
                yield part
        html = page(told.lines, photos, [access_of(one) for one in events], instant(call.instant), language)
        async for part in packer.file("index.html", "text/html", _once(html)):
            yield part
        manifest = json.encode(self._manifest(call, packer, told))
        signed = self._scribe.signature(manifest).encode()
        for path, kind, content in (
            ("manifest.json", "application/json", manifest),
            ("manifest.jws", "application/jose", signed),
        ):
            async for part in packer.file(path, kind, _once(content)):
                yield part
        for part in packer.end():
            yield part

    async def allowed(self, call: Call) -> None:
        """The operation, on a patient whom the caller may see; recorded."""
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)
            attempt.disclosed.append(await self._engine.look(call))

    async def _bundle(self, call: Call, asked: Several, told: _Told) -> AsyncIterator[bytes]:
        """A collection: each resource exactly as a read gives it."""
        head: Json = {"resourceType": "Bundle", "type": "collection", "timestamp": instant(call.instant)}
        yield json.encode(head)[:-1] + b',"entry":['
        between = b""
        async for found in self._pages(call, asked):
            for stored in told.fresh(found):
                told.add(stored)
                yield between + b'{"fullUrl":' + json.encode(f"{self._base}/{stored.key}") + b',"resource":'
                async for part in written(stored.pieces):
                    yield part
                between = b"},"
        yield (b"}" if between else b"") + b"]}"

    async def _pages(self, call: Call, asked: Several) -> AsyncIterator[Page]:
        searching = replace(call, interaction=Interaction.SEARCH_SYSTEM, type=None, id=None, operation=None)
        after: Position | None = None
        while True:
            found = await self._engine.search(searching, asked.queries, after, named=asked.named)
            yield found
            after = found.next
            if after is None:
                return

    async def _photo(
        self, call: Call, packer: Packer, id: str, media: Json, photos: dict[str, str]
    ) -> AsyncIterator[bytes]:
        """Nothing where it may not leave any more, as when its consent was withdrawn a moment ago."""
        reading = replace(call, interaction=Interaction.READ, operation=None, type="Binary", id=id)
        try:
            opened = await self._delivery.open(reading)
        except (GoneError, NoLegalBasisError, NotFoundError):
            return
        if opened is None:
            return
        photo = opened.photo
        path = f"photos/{id}{_extension(photo.media_type)}"
        photos[path] = str(media.get("createdDateTime", ""))
        parts = self._delivery.stream(reading, opened, 0, photo.length)
        async for part in packer.file(path, photo.media_type, parts, photo.length):
            yield part

    async def _events(self, call: Call) -> Sequence[Json]:
        """Who looked at the record: for the patient, and whoever represents them."""
        found: list[Json] = []
        after: Position | None = None
        while is_own(call):
            page = await self._access_log.page(call, [("_count", _AT_ONCE)], after)
            found += [one.resource for one in page.matches]
            after = page.next
            if after is None:
                break
        return found

    def _manifest(self, call: Call, packer: Packer, told: _Told) -> Json:
        return {
            "clinic": self._clinic,
            "patient": f"Patient/{call.id}",
            "made": instant(call.instant),
            "resources": dict(sorted(told.types.items())),
            "files": [asdict(one) for one in packer.files],
        }

    def _asked(self, call: Call) -> Several:
        return everything(str(call.id), [("_count", _AT_ONCE)], self._engine.language)


def _entries(events: Sequence[Json]) -> list[Json]:
    return [{"resource": one} for one in events]


def _extension(media_type: str) -> str:
    subtype = media_type.partition("/")[2]
    return _FILE_NAMES.get(media_type) or (f".{subtype}" if subtype.isalnum() else ".bin")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
