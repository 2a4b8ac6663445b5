"""After an appointment of NextMotion's: the patient's photographs and the treatments' consent forms that are new here.

No event tells of them, so they are asked for whenever something is heard of the patient. OWASP "Server-Side Request
Forgery Prevention": a file is fetched at hosts that the clinic named, and the API's key goes to the API alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from mappers.booking.nextmotion import consent_forms, files, photographs
from mappers.booking.nextmotion.files import Wanted
from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json, decode_object
from mappers.mapping.message import Message
from mappers.runtime.delivery import Delivery
from mappers.runtime.faults import NotNowError, SetupError
from mappers.runtime.fetching import Fetcher

MOST_FILE = 32 * 1024 * 1024
_MOST_PAGES = 20
_MOST_FILES = 50
"""Of one kind, for one hint; the next one brings more."""

_TOGETHER = 50

List = Callable[[Json, Json], Iterator[Wanted]]
Key = Callable[[Wanted], str]


@dataclass(frozen=True, slots=True)
class Belongings:
    api: Fetcher
    files: Fetcher
    headers: Mapping[str, str] = field(repr=False)
    photographs: Delivery
    forms: Delivery

    async def follow(self, raw: bytes, now: datetime) -> None:
        """Of the appointment that was fetched. NotNowError where the source cannot be asked: the hint comes again."""
        try:
            appointment = decode_object(raw)
            patient = appointment.get("patient") or {}
            treatments = files.treatments_url(str(appointment.get("id")))
            records = files.photographs_url(str(patient.get("id")))
        except (UnusableError, AttributeError):
            return  # its message was put aside, or it is nobody's
        await self._taken(self.forms, await self._listed(treatments, files.consent_forms, patient), _form_key, now)
        await self._taken(self.photographs, await self._listed(records, files.photographs, patient), _photo_key, now)

    async def _listed(self, first: str, found: List, patient: Json) -> list[Wanted]:
        url: str | None = first
        listed: list[Wanted] = []
        for _ in range(_MOST_PAGES):
            body = await self.api.get(url, self.headers) if url else None
            if body is None:
                break
            try:
                page = decode_object(body, self.api.most_bytes)
            except UnusableError:
                raise NotNowError("The source does not answer in JSON.") from None
            listed += found(page, patient)
            url = files.next_page(page)
        return listed

    async def _taken(self, delivery: Delivery, wanted: Sequence[Wanted], key: Key, now: datetime) -> None:
        new = [
            one for one, is_known in zip(wanted, await self._known(delivery, wanted, key), strict=True) if not is_known
        ]
        for one in new[:_MOST_FILES]:
            await delivery.deliver(Message(await self._fetched(one), now))

    async def _known(self, delivery: Delivery, wanted: Sequence[Wanted], key: Key) -> list[bool]:
        """By the record that its message left: a file that is here is not fetched again."""
        names = [f"DocumentReference/{delivery.records.message_id(key(one))}" for one in wanted]
        found: list[Json | None] = []
        for place in range(0, len(names), _TOGETHER):
            found += await delivery.server.read(names[place : place + _TOGETHER])
        return [one is not None for one in found]

    async def _fetched(self, one: Wanted) -> bytes:
        """A file that is not to be had is put aside with the reason, and does not stop the next."""
        if not one.address:
            return one.refused("It says nothing of an image or a document.")
        is_api = urlsplit(one.address).netloc in self.api.hosts
        try:
            data = await self.files.get(one.address, self.headers if is_api else {})
        except SetupError as error:
            return one.refused(str(error))
        return one.with_file(data) if data is not None else one.refused("The file is not there any more.")


def _photo_key(one: Wanted) -> str:
    return photographs.key(str(one.about["media_asset"].get("id")))


def _form_key(one: Wanted) -> str:
    return consent_forms.key(one.about["consent_form"])
