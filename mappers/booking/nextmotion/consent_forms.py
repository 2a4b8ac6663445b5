"""A NextMotion ConsentForm (API v4) with its document, as fetched -> DocumentReference. It permits nothing here.

What its `status` counts is published nowhere, so it is not known whether anybody signed, or for what: a person reads
the document and records a Consent. The same form with another document is the later word.
"""

from hashlib import sha256

from mappers.booking.nextmotion.files import attachment, opened
from mappers.booking.nextmotion.patients import NAME, REASONS, person
from mappers.mapping.assembly import mapping
from mappers.mapping.entries import kept, once
from mappers.mapping.identifiers import IMPORTED, identifier
from mappers.mapping.instants import sortable
from mappers.mapping.json_text import Json, encode
from mappers.mapping.message import Message, Tables
from mappers.mapping.result import Mapping, Order

FORM = "https://api.nextmotion.net/open_api/v4/consent_forms"
_TAKEN = frozenset({"application/pdf"})


def key(form: Json) -> str:
    """Another one as soon as anything is said differently about it."""
    return f"{FORM}|{form.get('id')}|{sha256(encode(form)).hexdigest()}"


def read(message: Message, tables: Tables) -> Mapping:
    source, data = opened(message.raw)
    form, who = source.at("consent_form"), once(person(source.at("patient")))
    name = form.text("name")
    found: Json = {
        "resourceType": "DocumentReference",
        "meta": {"tag": [IMPORTED]},
        "identifier": [identifier(FORM, form.need("id"))],
        "status": "current",
        "type": {"text": "Consent form"},
        "subject": {"reference": who["fullUrl"]},
        "content": [{"attachment": attachment(data, form.at("document"), _TAKEN, name)}],
    }
    order = Order(0, sortable(message.received))
    losses = source.losses(REASONS)
    return mapping(NAME, message, key(form.value), order, [who, kept(found)], losses, unsure=[who])
