"""What of a NextMotion patient lies in files (API v4): photographs and consent forms, and where they are listed.

An address of a file may be a capability: whoever has it gets the file. It is asked, and kept nowhere. Pure.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field

from mappers.booking.nextmotion.webhooks import API
from mappers.mapping.concept_maps import translated
from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json, decode_object, encode
from mappers.mapping.source import Source

MOST_BYTES = 64 * 1024 * 1024
"""Of one message: a file of 32 MiB in Base64, and what is said about it."""

_BEGINNINGS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
    b"%PDF-": "application/pdf",
}
_ADDRESS = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Wanted:
    """`about`: the message without its file and without the file's address."""

    address: str = field(repr=False)
    about: Json = field(repr=False)

    def with_file(self, data: bytes) -> bytes:
        return encode({**self.about, "data": b64encode(data).decode()})

    def refused(self, why: str) -> bytes:
        return encode({**self.about, "refused": why})


def photographs_url(patient: str) -> str:
    return f"{API}/patients/{_id(patient)}/media_records"


def treatments_url(appointment: str) -> str:
    return f"{API}/calendar_appointments/{_id(appointment)}/treatments"


def next_page(page: Json) -> str | None:
    """On the same list of the API, or none."""
    found = page.get("next")
    return found if isinstance(found, str) and found.startswith(f"{API}/") else None


def photographs(page: Json, patient: Json) -> Iterator[Wanted]:
    for record in _objects(page.get("data")):
        about = {name: value for name, value in record.items() if name not in {"media_assets", "patient"}}
        for asset in _objects(record.get("media_assets")):
            said = {"patient": patient, "media_record": about, "media_asset": asset}
            yield Wanted(_address(asset.get("image")), _plain(said))


def consent_forms(page: Json, patient: Json) -> Iterator[Wanted]:
    """Of treatments that bring theirs along; where there is but its id, no address is published."""
    for treatment in _objects(page.get("data")):
        for form in _objects([treatment.get("consent_form")]):
            yield Wanted(_address(form.get("document")), _plain({"patient": patient, "consent_form": form}))


def opened(raw: bytes) -> tuple[Source, str]:
    """What is said about a file, and the file in Base64. UnusableError, with the reason, for one that did not come."""
    given = decode_object(raw, MOST_BYTES)
    data, source = given.pop("data", None), Source(given)
    if not isinstance(data, str):
        raise UnusableError(source.text("refused") or "The file did not come.")
    return source, data


def attachment(data: str, file: Source, taken: frozenset[str], title: str | None) -> Json:
    """Of the type that its first bytes say and that what is said about it does not contradict."""
    try:
        head = b64decode(data[:16], validate=True)
    except ValueError:
        raise UnusableError("The file is not in Base64.") from None
    type = next((name for beginning, name in _BEGINNINGS.items() if head.startswith(beginning)), None)
    named = file.text("file_uti")
    if type not in taken or (named is not None and translated("nextmotion-uti", named) != type):
        raise UnusableError("The file is of a kind that is not taken, or not of the kind that it is said to be.")
    return {"contentType": type, "data": data, **({"title": title} if title else {})}


def _id(text: str) -> str:
    if text == "None" or not (text.isascii() and text.replace("-", "").isalnum()):
        raise UnusableError("The id is none.")
    return text


def _objects(value: object) -> Iterator[Json]:
    yield from (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def _address(file: object) -> str:
    found = file.get("media_file") if isinstance(file, dict) else None
    return found if isinstance(found, str) else ""


def _plain(value: Json) -> Json:
    """Without any address: previews have theirs too."""
    return {name: kept for name, child in value.items() if (kept := _kept(child)) is not None}


def _kept(value: object) -> object:
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, list):
        return [_kept(child) for child in value]
    return None if isinstance(value, str) and value.lower().startswith(_ADDRESS) else value
