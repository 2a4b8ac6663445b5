"""A NextMotion patient -> Patient. `has_…_contact_consent` says how somebody may be reached, and is no consent here."""

from mappers.mapping.assembly import mapping
from mappers.mapping.concept_maps import translated
from mappers.mapping.entries import kept
from mappers.mapping.instants import sortable, with_offset
from mappers.mapping.json_text import Json, decode_object
from mappers.mapping.message import Message, Tables
from mappers.mapping.patients import address, birth_date, contact_points, human_name, patient
from mappers.mapping.result import Mapping, Order
from mappers.mapping.source import Source

NAME = "nextmotion"
PATIENT = "https://api.nextmotion.net/open_api/v4/patients"
REASONS = dict.fromkeys(
    (f"has_{way}_contact_consent" for way in ("email", "phone", "sms", "post")), "An opt-in is no consent."
)


def read(message: Message, tables: Tables) -> Mapping:
    source = Source(decode_object(message.raw))
    who = kept(person(source))
    modified = source.text("modified_time") or source.text("created_time")
    moment = with_offset(modified, "modified_time") if modified else message.received
    order = Order(0, sortable(moment))
    key = f"{PATIENT}|{source.need('id')}|{message.sha256}"
    return mapping(NAME, message, key, order, [who], source.losses(REASONS), unsure=[who])


def person(source: Source) -> Json:
    archived = source.flag("is_archived")
    return patient(
        PATIENT,
        source.need("id"),
        human_name(None, source.text("last_name"), source.text("first_name")),
        contact_points(source.text("email"), source.text("phone_number")),
        active=False if archived else None,
        gender=translated("nextmotion-gender", source.text("gender")),
        birthDate=birth_date(source.text("birth_date")),
        address=address(
            (source.text("postal_address"),),
            source.text("city"),
            None,
            source.text("zip_code"),
            source.text("country"),
        ),
    )
