"""A Pabau client -> Patient. `opt_in_…` are 1 unless somebody unticked them: no consent is read from them."""

from mappers.mapping.assembly import mapping
from mappers.mapping.concept_maps import translated
from mappers.mapping.entries import kept
from mappers.mapping.instants import sortable
from mappers.mapping.json_text import decode_object
from mappers.mapping.message import Message, Tables
from mappers.mapping.patients import address, birth_date, contact_points, human_name, patient
from mappers.mapping.result import Mapping, Order
from mappers.mapping.source import Source

NAME = "pabau"
CLIENT = "https://api.oauth.pabau.com/clients"
REASONS = dict.fromkeys(
    (f"opt_in_{way}" for way in ("email", "phone", "post", "sms", "newsletter")), "An opt-in is no consent."
)


def read(message: Message, tables: Tables) -> Mapping:
    source = Source(decode_object(message.raw))
    details, ways, home = source.at("details"), source.at("communications"), source.at("address")
    id = details.need("id")
    active = details.whole("is_active")
    who = kept(
        patient(
            CLIENT,
            id,
            human_name(None, details.text("last_name"), details.text("first_name")),
            contact_points(ways.text("email"), ways.text("mobile"), ways.text("phone")),
            active=bool(active) if active is not None else None,
            gender=translated("pabau-gender", details.text("gender")),
            birthDate=birth_date(details.text("DOB")),
            address=address(
                (home.text("mailing_street"),),
                home.text("mailing_city"),
                home.text("mailing_county"),
                home.text("MailingPostal"),
                home.text("mailing_country"),
            ),
        )
    )
    order = Order(0, sortable(message.received))
    return mapping(NAME, message, f"{CLIENT}|{id}|{message.sha256}", order, [who], source.losses(REASONS), unsure=[who])
