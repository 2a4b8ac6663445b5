"""A Cliniko patient -> Patient, kept as the source has it."""

from mappers.booking.cliniko.appointments import NAME
from mappers.booking.cliniko.links import own
from mappers.mapping.assembly import mapping
from mappers.mapping.concept_maps import translated
from mappers.mapping.entries import kept
from mappers.mapping.instants import sortable, with_offset
from mappers.mapping.json_text import decode_object
from mappers.mapping.message import Message, Tables
from mappers.mapping.patients import address, birth_date, contact_points, human_name, patient
from mappers.mapping.result import Mapping, Order
from mappers.mapping.source import Source

REASONS = dict.fromkeys(
    ("accepted_privacy_policy", "accepted_email_marketing", "accepted_sms_marketing"), "A tick is no consent."
)


def read(message: Message, tables: Tables) -> Mapping:
    source = Source(decode_object(message.raw))
    system, value = own(source, "patients")
    phones = (phone.text("number") for phone in source.each("patient_phone_numbers"))
    archived = "archived_at" in source
    source.text("archived_at")
    who = kept(
        patient(
            system,
            value,
            human_name(None, source.text("last_name"), source.text("first_name"), source.text("title")),
            contact_points(source.text("email"), *phones),
            active=not archived,
            gender=translated("cliniko-sex", source.text("sex")),
            birthDate=birth_date(source.text("date_of_birth")),
            address=address(
                (source.text("address_1"), source.text("address_2"), source.text("address_3")),
                source.text("city"),
                source.text("state"),
                source.text("post_code"),
                source.text("country"),
            ),
        )
    )
    order = Order(0, sortable(with_offset(source.need("updated_at"), "updated_at")))
    key = f"{system}|{value}|{order.instant}"
    return mapping(NAME, message, key, order, [who], source.losses(REASONS), unsure=[who])
