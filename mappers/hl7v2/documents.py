"""MDM and ORU: photographs in OBX (ED) -> Media; other documents -> DocumentReference.

The HL7 v2-to-FHIR guide. A photograph goes where every other one goes: the server takes it on a consent, or not at all.
"""

import binascii
from base64 import b64decode, b64encode

from mappers.hl7v2.fields import Zone, concept, entity, moment
from mappers.hl7v2.parsing import Parsed, Segment
from mappers.hl7v2.people import patient, practitioner
from mappers.mapping.entries import kept, once
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import identifier
from mappers.mapping.instants import written
from mappers.mapping.json_text import Json
from mappers.mapping.message import Tables

TRIGGERS = frozenset({"R01", "T01", "T02", "T05", "T06", "T09", "T10", "T11"})
_IMAGES = {"JPEG": "image/jpeg", "JPG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
_OTHERS = {"PDF": "application/pdf", "RTF": "application/rtf", "HTML": "text/html", "XML": "text/xml"}
_TEXTS = frozenset({"TX", "FT", "ST"})
_DOC_STATUS = {"AU": "final", "LA": "final", "DI": "preliminary", "IP": "preliminary", "IN": "preliminary"}
_REVOKED = {"T11": "entered-in-error"}


def entries(parsed: Parsed, source: str, zone: Zone, tables: Tables) -> list[Json]:
    who = once(patient(parsed, source))
    photos = [obx for obx in parsed.all("OBX") if _is_photo(obx)]
    found = [once(_photo(parsed, obx, who, source, zone)) for obx in photos]
    if parsed.first("TXA") is not None:
        others = [obx for obx in parsed.all("OBX") if obx not in photos]
        found += _document(parsed, parsed.need("TXA"), others, who, source, zone, tables)
    if not found:
        raise UnusableError("There is neither a photograph in it nor a document.")
    return [who, *found]


def without_photos(raw: bytes, parsed: Parsed) -> bytes:
    """The raw message for keeping: a photograph lies nowhere but under its own key, behind its own gate."""
    for obx in parsed.all("OBX"):
        data = obx.part(obx.raw(5), 5) if _is_photo(obx) else None
        if data:
            raw = raw.replace(data.encode(), b"(photograph, not kept here)")
    return raw


def _is_photo(obx: Segment) -> bool:
    return obx.text(2) == "ED" and ((obx.text(5, 2) or "").upper() in {"IM", "IMAGE"} or _kind(obx) in _IMAGES)


def _kind(obx: Segment) -> str:
    return (obx.text(5, 3) or "").upper()


def _photo(parsed: Parsed, obx: Segment, who: Json, source: str, zone: Zone) -> Json:
    obr = parsed.first("OBR")
    type = _IMAGES.get(_kind(obx))
    if type is None:
        raise UnusableError("OBX-5 is an image of a kind that is not taken.")
    taken = moment(obx.text(14), zone, "OBX-14") or (moment(obr.text(7), zone, "OBR-7") if obr else None)
    found: Json = {
        "resourceType": "Media",
        "identifier": [_numbered(parsed, obx, source)],
        "status": "completed",
        "type": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/media-type", "code": "image"}],
            **({"text": obx.text(3, 2)} if obx.text(3, 2) else {}),
        },
        "subject": {"reference": who["fullUrl"]},
        "content": {"contentType": type, "data": _base64(obx)},
    }
    return found | ({"createdDateTime": written(taken)} if taken else {})


def _numbered(parsed: Parsed, obx: Segment, source: str) -> Json:
    """By the order's or document's number, and the place of the photograph in it."""
    obr, txa = parsed.first("OBR"), parsed.first("TXA")
    of = (entity(txa, 12, source) if txa else None) or (
        entity(obr, 3, source) or entity(obr, 2, source) if obr else None
    )
    if of is None:
        raise UnusableError("Neither TXA-12 nor OBR-3 says which report this is.")
    place = obx.text(4) or obx.text(1) or "1"
    return identifier(f"{of['system']}:obx", f"{of['value']}/{obx.text(1) or '1'}/{place}")


def _document(
    parsed: Parsed, txa: Segment, parts: list[Segment], who: Json, source: str, zone: Zone, tables: Tables
) -> list[Json]:
    by = entity(txa, 12, source)
    if by is None:
        raise UnusableError("TXA-12 is missing.")
    texts = [obx for obx in parts if obx.text(2) in _TEXTS]
    attachments = [_attachment(obx) for obx in parts if obx.text(2) == "ED"]
    if texts:
        body = "\n".join(text for obx in texts for text in [obx.delimiters.plain(obx.raw(5))])
        attachments.append({"contentType": "text/plain; charset=utf-8", "data": b64encode(body.encode()).decode()})
    if not attachments:
        return []
    made = moment(txa.text(6) or txa.text(4), zone, "TXA-6")
    authors = (practitioner(txa, text, source, tables) for text in txa.repetitions(9))
    found: Json = {
        "resourceType": "DocumentReference",
        "masterIdentifier": by,
        "identifier": [by],
        "status": _REVOKED.get(parsed.trigger, "current"),
        "docStatus": _DOC_STATUS.get(txa.text(17) or ""),
        "type": concept(txa, 2),
        "subject": {"reference": who["fullUrl"]},
        "date": written(made) if made else None,
        "author": [author for author in authors if author],
        "description": txa.text(25),
        "content": [{"attachment": attachment} for attachment in attachments],
    }
    return [kept({element: value for element, value in found.items() if value})]


def _attachment(obx: Segment) -> Json:
    type = _OTHERS.get(_kind(obx), "application/octet-stream")
    title = obx.text(3, 2)
    return {"contentType": type, "data": _base64(obx), **({"title": title} if title else {})}


def _base64(obx: Segment) -> str:
    """As it came, once it proved to be Base64: what could not be opened later is not taken now."""
    data = obx.part(obx.raw(5), 5)
    if data is None or (obx.text(5, 4) or "").upper() != "BASE64":
        raise UnusableError("OBX-5 is not in Base64.")
    try:
        b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise UnusableError("OBX-5 is not in Base64.") from None
    return data
