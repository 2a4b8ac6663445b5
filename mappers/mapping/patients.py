"""A Patient as a booking system knows one.

https://hl7.org/fhir/R4/patient.html. A name in one piece stays in one piece; an opt-in is no consent and never carried.
"""

from mappers.mapping.identifiers import identifier
from mappers.mapping.instants import day
from mappers.mapping.json_text import Json


def patient(system: str, value: str, name: Json | None, telecom: list[Json] | None = None, **more: object) -> Json:
    """`more`: elements of Patient; None is left out."""
    found: Json = {"resourceType": "Patient", "identifier": [identifier(system, value)]}
    if name:
        found["name"] = [name]
    if telecom:
        found["telecom"] = telecom
    return found | {element: given for element, given in more.items() if given not in (None, [], {})}


def human_name(
    text: str | None = None, family: str | None = None, given: str | None = None, prefix: str | None = None
) -> Json | None:
    parts: Json = {"family": family, "given": [given] if given else None, "prefix": [prefix] if prefix else None}
    found = {element: part for element, part in parts.items() if part}
    if text:
        found["text"] = text
    return found or None


def contact_points(email: str | None = None, *phones: str | None) -> list[Json]:
    found: list[Json] = [{"system": "email", "value": email}] if email else []
    unique = dict.fromkeys(phone for phone in phones if phone)
    return [*found, *({"system": "phone", "value": phone} for phone in unique)]


def address(
    lines: tuple[str | None, ...], city: str | None, state: str | None, code: str | None, country: str | None
) -> list[Json]:
    parts: Json = {
        "line": [line for line in lines if line],
        "city": city,
        "state": state,
        "postalCode": code,
        "country": country,
    }
    found = {element: part for element, part in parts.items() if part}
    return [found] if found else []


def birth_date(text: str | None) -> str | None:
    return day(text)


def known_by(patient: Json) -> tuple[str, ...]:
    """The kinds of detail by which it could be matched, never the details."""
    telecom = {point["system"] for point in patient.get("telecom", ())}
    kinds = ("name", "birthDate", "gender", "address")
    return (*(kind for kind in kinds if kind in patient), *sorted(telecom))
