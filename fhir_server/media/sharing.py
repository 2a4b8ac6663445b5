"""A photo shared with the patient whom it shows: a link by a channel that they consented to, and a code told apart.

Architecture section 9: later doors pass the same `disclose`. A share is a Communication in the patient's file, so that
it is read, ended and erased like the rest of it; link and code are keyed digests of what it says, kept nowhere.
"""

import base64
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fhir_server.crypto.framing import frame
from fhir_server.engine.call import Call, Interaction, Principal, Trace
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import ContendedError, NotFoundError, StaleBasisError, UnprocessableError
from fhir_server.kernel.identity import NewId, ResourceKey, is_id, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.media.delivery import Delivery, Opened
from fhir_server.media.photos_within import carries_photo, photo_id
from fhir_server.media.ports import Contact
from fhir_server.media.vocabulary import CHANNEL, SHARE, SHARED_UNTIL
from fhir_server.search.parse import parse

CHANNELS = ("app", "email", "sms")
"""Those by which a link can go."""

LONGEST, USUAL = timedelta(days=14), timedelta(days=3)
OPERATION = "share"
_OPEN, _ENDED = "in-progress", "stopped"
_CODES = 10**8
_FIRST = 1
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Share:
    """What a Communication says of a photo that is shared."""

    key: ResourceKey
    media: ResourceKey
    patient: str
    channel: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Shared:
    """`link` goes by the channel, `code` by another way."""

    share: Share
    link: str = field(repr=False)
    code: str = field(repr=False)


class Sharing:
    """`server` writes the Communication, `secret` is the clinic's key of links and codes."""

    def __init__(
        self, engine: Engine, delivery: Delivery, contact: Contact, server: Principal, new_id: NewId, secret: bytes
    ) -> None:
        self._engine, self._delivery, self._contact = engine, delivery, contact
        self._server, self._new_id, self._secret = server, new_id, secret

    async def share(self, call: Call, channel: str, until: datetime | None) -> Shared:
        """Raises NoLegalBasisError where photo or channel has none, UnprocessableError for another end or channel."""
        async with self._engine.attempt(call) as attempt:
            await self._engine.steps.admit(call)
            until = _end(call.instant, until)
            if channel not in CHANNELS:
                raise UnprocessableError(f"A link goes by {', '.join(CHANNELS)}.", expression="Parameters.parameter")
            key = ResourceKey("Communication", self._new_id())

            async def once() -> tuple[Stored, Share]:
                call.trace.forget()
                media = await self._engine.look(call)
                patient = parse_reference(str(media.resource.get("subject", {}).get("reference", "")))
                if not carries_photo(media.resource) or patient is None or patient.type != "Patient":
                    raise NotFoundError("The Media has no photo of a patient here.")
                share = Share(key, media.key, patient.id, channel, until)
                basis = await self._contact.basis(call, patient.id, channel)
                asking = replace(
                    call, interaction=Interaction.CREATE, principal=self._server, type=key.type, id=None,
                    operation=None, trace=Trace(),
                )  # fmt: skip
                change = await self._engine.drafts.create(asking, _communication(share, call), key.id)
                await self._engine.store.commit([change.relying_on(basis)])
                return media, share

            stale = (StaleBasisError, ContendedError)
            media, share = await self._engine.courtesy.insist([str(key)], once, again_on=stale)
            attempt.disclosed.append(media)
        return Shared(share, f"{key.id}.{self._link(share)}", self._code(share))

    async def find(self, link: str, now: datetime) -> Share | None:
        """None for a link that is none, or none any more. Tells nothing of the photo."""
        id, _, said = link.partition(".")
        stored = await self._engine.store.read(ResourceKey("Communication", id)) if is_id(id) else None
        share = _read(stored) if stored is not None else None
        if share is None or share.until <= now:
            return None
        fits = hmac.compare_digest(said.encode("utf-8", "replace"), self._link(share).encode())
        return share if fits else None

    def is_code(self, share: Share, said: str) -> bool:
        digits = "".join(said.split()).replace("-", "")
        return hmac.compare_digest(digits.encode("utf-8", "replace"), self._code(share).replace(" ", "").encode())

    async def open(self, call: Call, share: Share) -> Opened:
        """`call` is the patient's. The photo as they may see it now, where they may still be written to."""
        reading = replace(call, interaction=Interaction.READ, operation=OPERATION, type="Media", id=share.media.id)
        async with self._engine.attempt(reading) as attempt:
            attempt.committed = True  # what succeeds is recorded as the read that it is
            await self._contact.basis(reading, share.patient, share.channel)
            media = await self._engine.look(reading)  # a Media keeps the photo that it took in
        photo = photo_id(media.resource)
        opened = await self._delivery.open(replace(reading, type="Binary", id=photo, trace=Trace()))
        assert opened is not None, "these rights are over Media too, and a photo is never a plain Binary"
        return opened

    async def stream(self, call: Call, link: str, opened: Opened) -> AsyncIterator[bytes]:
        """The bytes, while link, channel and photo hold."""
        again = replace(call, type=opened.photo.owner.type, id=opened.photo.owner.id)
        async for part in self._delivery.stream(again, opened, 0, opened.photo.length):
            yield part
            share = await self.find(link, call.instant)
            if share is None:
                raise NotFoundError("The photo is not shared any more.")
            again.trace.forget()
            await self._contact.basis(again, share.patient, share.channel)

    async def end_of(self, subject: str, now: datetime) -> None:
        """All that somebody began, when they leave: they know link and code. Whatever the patient says meanwhile."""
        asked = [("category", f"{SHARE}|photo"), ("sender:identifier", subject), ("status", _OPEN)]
        query = parse("Communication", asked, self._engine.language)

        async def once() -> None:
            while found := (await self._engine.store.find(query, None, _AT_ONCE)).matches:
                for stored in found:
                    call = Call(Interaction.UPDATE, self._server, now, stored.key.type, stored.key.id)
                    ended = {**stored.resource, "status": _ENDED}
                    await self._engine.commit(call, self._engine.drafts.of(stored.key, ended, stored))

        await self._engine.courtesy.insist([subject], once)

    def _link(self, share: Share) -> str:
        return base64.urlsafe_b64encode(self._mac(b"link", share)).rstrip(b"=").decode()

    def _code(self, share: Share) -> str:
        digits = f"{int.from_bytes(self._mac(b'code', share)) % _CODES:08}"
        return f"{digits[:4]} {digits[4:]}"

    def _mac(self, what: bytes, share: Share) -> bytes:
        """Of all that a share says: whoever edits the Communication gets no other link by it."""
        said = (str(share.key), str(share.media), share.patient, share.channel, instant(share.until))
        return hmac.digest(self._secret, frame([what, *(one.encode() for one in said)]), "sha256")


def _end(now: datetime, until: datetime | None) -> datetime:
    until = now + USUAL if until is None else until
    if not now < until <= now + LONGEST:
        raise UnprocessableError(
            f"A share ends within {LONGEST.days} days, and not before it begins.", expression="Parameters.parameter"
        )
    return until


def _communication(share: Share, call: Call) -> Json:
    patient = {"reference": f"Patient/{share.patient}"}
    who = call.principal
    return {
        "resourceType": "Communication",
        "extension": [{"url": SHARED_UNTIL, "valueInstant": instant(share.until)}],
        "status": _OPEN,
        "category": [{"coding": [{"system": SHARE, "code": "photo"}], "text": "A photo shared with the patient"}],
        "medium": [{"coding": [{"system": CHANNEL, "code": share.channel}]}],
        "subject": patient,
        "recipient": [patient],
        "sent": instant(call.instant),
        "sender": {"identifier": {"system": who.issuer or SHARE, "value": who.subject}},
        "payload": [{"contentReference": {"reference": str(share.media)}}],
    }


def _read(stored: Stored) -> Share | None:
    """None for one that was ended: by another status, by any other change, or with the file that it lay in."""
    if stored.deleted or stored.version != _FIRST or stored.resource.get("status") != _OPEN:
        return None
    found = stored.resource
    try:
        media = parse_reference(found["payload"][0]["contentReference"]["reference"])
        patient = parse_reference(found["subject"]["reference"])
        until = next(one["valueInstant"] for one in found["extension"] if one["url"] == SHARED_UNTIL)
        channel = str(found["medium"][0]["coding"][0]["code"])
        end = datetime.fromisoformat(str(until))
    except (KeyError, IndexError, StopIteration, ValueError):
        return None
    return Share(stored.key, media, patient.id, channel, end) if media and patient else None
