"""A rendition of a photo: a Media of its own, with its own key, its own decision, and a Provenance that says of what.

Architecture section 9; requirements B1, S81, T19, M14. Made under the caller's rights, on the basis of the moment.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

import pybase64

from fhir_server.engine.call import Beside, Call, Interaction, Principal, Trace
from fhir_server.engine.change import Change
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import (
    ContendedError,
    ForbiddenError,
    NotFoundError,
    NotSupportedError,
    StaleBasisError,
    UnprocessableError,
)
from fhir_server.kernel.identity import NewId, ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.media import drawing
from fhir_server.media.admission import admitted
from fhir_server.media.apart import OPENED
from fhir_server.media.drawing import Area, Picture
from fhir_server.media.labels import is_simulated, tagged_like
from fhir_server.media.metadata import MOST_BYTES
from fhir_server.media.photos_within import carries_photo, photo_id
from fhir_server.media.ports import PhotoVault
from fhir_server.media.vocabulary import DERIVED_FROM, MASKED, RENDITION

KINDS = ("thumbnail", "screen", "watermarked", "anonymised")
MOST_AREAS, LONGEST_MARK = 20, 60
_AT_A_TIME = 2
_LONGEST = {"thumbnail": drawing.THUMBNAIL, "screen": drawing.SCREEN, "watermarked": drawing.SCREEN}
OpenedApart: TypeAlias = Callable[[str, bytes, int], bytes]
"""`media.apart.opened_apart`."""
T = TypeVar("T")
_TAKEN_OVER = ("subject", "encounter", "partOf", "bodySite", "view", "operator", "createdDateTime", "deviceName")
_FROM = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made. `mark`: the text of a watermark. `areas`: what is to be covered."""

    kind: str
    mark: str = ""
    areas: tuple[Area, ...] = ()


@dataclass(frozen=True, slots=True)
class Original:
    """A photo as the caller may see it now."""

    media: Stored
    data: bytes = field(repr=False)


class Renditions:
    """`server` writes down where a rendition comes from, whoever asked for it."""

    def __init__(
        self, engine: Engine, vault: PhotoVault, server: Principal, new_id: NewId, opened_apart: OpenedApart
    ) -> None:
        self._engine, self._vault, self._server, self._new_id = engine, vault, server, new_id
        self._opened_apart = opened_apart
        self._room = asyncio.Semaphore(_AT_A_TIME)

    async def make(self, call: Call, wish: Wish) -> Stored:
        """Raises UnprocessableError for what cannot be drawn, ForbiddenError for masks without a practitioner."""
        async with admitted(self._engine, call):
            _require(call, wish)
            original = await self.original(call, str(call.id), _LONGEST.get(wish.kind, 0))
            mark = wish.mark if wish.kind == "watermarked" else ""
            if is_simulated(original.media.resource):
                mark = f"SIMULATION {mark}".strip()
            data = await self.drawn(lambda: drawing.encoded(_drawn(original.data, wish), mark))
        return (await self.commit(call, wish.kind, data, [original], wish.areas))[0]

    async def original(self, call: Call, id: str, longest: int = 0) -> Original:
        """Decided and recorded like any read of it. `longest`: the edge that is wanted of what is opened apart."""
        reading = replace(call, interaction=Interaction.READ, operation=None, type="Media", id=id)
        media = await self._engine.read(reading)
        photo = await self._vault.find(photo_id(media.resource)) if carries_photo(media.resource) else None
        if photo is None:
            raise NotFoundError("The Media has no photo here.")
        apart = OPENED.get(photo.media_type)
        if apart is None and photo.media_type not in drawing.DRAWABLE:
            raise NotSupportedError(f"No rendition is drawn of {photo.media_type}.")
        if photo.length > MOST_BYTES:
            raise UnprocessableError(f"No rendition is drawn of what has more than {MOST_BYTES} bytes.")
        data = b"".join([part async for part in self._vault.stream(photo, 0, photo.length)])
        if apart is not None:
            whole = data
            data = await self.drawn(lambda: self._opened_apart(apart, whole, longest))
        return Original(media, data)

    async def drawn(self, draw: Callable[[], T]) -> T:
        """In a thread, few at a time: an open picture takes three bytes a pixel."""
        async with self._room:
            return await asyncio.to_thread(draw)

    async def commit(
        self,
        call: Call,
        kind: str,
        data: bytes,
        originals: Sequence[Original],
        areas: Sequence[Area] = (),
        *beside: Json,
    ) -> tuple[Stored, ...]:
        """The rendition, its Provenance, and what else belongs beside it, in one commit."""
        key, trail = ResourceKey("Media", self._new_id()), ResourceKey("Provenance", self._new_id())
        media = _media(kind, data, [one.media for one in originals], areas)
        agent = await self._agent(call.principal)
        provenance = _provenance(key, kind, [one.media for one in originals], agent, instant(call.instant))
        others = [(ResourceKey(one["resourceType"], self._new_id()), one) for one in beside]
        made = Beside(made=frozenset({key, trail, *(other for other, _ in others)}))

        def asking(target: ResourceKey, principal: Principal) -> Call:
            interaction = Interaction.CREATE
            return replace(
                call, interaction=interaction, principal=principal, type=target.type, id=None, operation=None,
                trace=call.trace if principal is call.principal else Trace(), beside=made,
            )  # fmt: skip

        async def once() -> tuple[Stored, ...]:
            drafts = self._engine.drafts
            made_of_them = drafts.of(key, {**media, "id": key.id}, None, "POST")._replace(derived=True)
            changes: list[Change] = [await drafts.prepared(asking(key, call.principal), made_of_them)]
            for target, resource in ((trail, provenance), *others):
                changes.append(await drafts.create(asking(target, self._server), resource, target.id))
            stored = await self._engine.store.commit(changes)
            attempt.committed = True
            return stored

        async with self._engine.attempt(call) as attempt:
            stale = (StaleBasisError, ContendedError)
            return await self._engine.courtesy.insist([str(key)], once, again_on=stale)

    async def _agent(self, principal: Principal) -> Json:
        """By reference where the person is on file here, else by what the token says."""
        key = parse_reference(principal.fhir_user) if principal.fhir_user else None
        if key is not None and await self._engine.store.present([key]):
            return {"reference": str(key)}
        return {"identifier": {"system": principal.issuer or "urn:aesthetic-fhir-server", "value": principal.subject}}


def _require(call: Call, wish: Wish) -> None:
    if wish.kind not in KINDS:
        raise UnprocessableError(f"A rendition is one of {', '.join(KINDS)}.", expression="Parameters.parameter")
    if wish.kind == "anonymised":
        if not (call.principal.fhir_user or "").startswith("Practitioner"):
            raise ForbiddenError("What is covered is chosen and approved by a practitioner.")
        if not 1 <= len(wish.areas) <= MOST_AREAS:
            raise UnprocessableError(f"Name 1 to {MOST_AREAS} areas.", expression="Parameters.parameter")
    if wish.kind == "watermarked" and not 1 <= len(wish.mark) <= LONGEST_MARK:
        raise UnprocessableError(f"A mark has 1 to {LONGEST_MARK} letters.", expression="Parameters.parameter")


def _drawn(data: bytes, wish: Wish) -> Picture:
    match wish.kind:
        case "thumbnail":
            return drawing.scaled(drawing.opened(data, drawing.THUMBNAIL), drawing.THUMBNAIL)
        case "anonymised":
            return drawing.covered(drawing.opened(data), wish.areas)
        case _:
            return drawing.scaled(drawing.opened(data, drawing.SCREEN), drawing.SCREEN)


def _media(kind: str, data: bytes, originals: Sequence[Stored], areas: Sequence[Area]) -> Json:
    first = originals[0].resource
    own = {"url": RENDITION, "valueCode": kind}
    sources = [{"url": DERIVED_FROM, "valueReference": {"reference": _version_of(one)}} for one in originals]
    masked = [{"url": MASKED, "valueString": f"{area.left},{area.top},{area.width},{area.height}"} for area in areas]
    tags = tagged_like([one.resource for one in originals])
    return {
        "resourceType": "Media",
        **({"meta": {"tag": tags}} if tags else {}),
        "extension": [own, *sources, *masked],
        "status": "completed",
        **{name: first[name] for name in _TAKEN_OVER if name in first},
        "content": {"contentType": "image/jpeg", "data": pybase64.b64encode_as_string(data)},
    }


def _provenance(key: ResourceKey, kind: str, originals: Sequence[Stored], agent: Json, now: str) -> Json:
    role = "verifier" if kind == "anonymised" else "author"
    return {
        "resourceType": "Provenance",
        "target": [{"reference": str(key)}],
        "recorded": now,
        "activity": {"coding": [{"system": RENDITION, "code": kind}]},
        "agent": [{"type": {"coding": [{"system": _FROM, "code": role}]}, "who": agent}],
        "entity": [{"role": "derivation", "what": {"reference": _version_of(one)}} for one in originals],
    }


def _version_of(stored: Stored) -> str:
    return f"{stored.key}/_history/{stored.version}"
