"""Practitioners of each body, and of none."""

from typing import Any

from fhir_server.kernel.json import Json
from fhir_server.professions.membership import SYSTEM

UK = "https://fhir.hl7.org.uk/Id"
NUMBERS = {
    "GMC": (f"{UK}/gmc-number", "C1234567"),
    "GDC": (f"{UK}/gdc-number", "123456"),
    "NMC": (f"{UK}/nmc-number", "12A3456E"),
    "CNOM": ("https://rpps.esante.gouv.fr", "10000001916"),
}


def number(code: str, **more: Any) -> Json:
    system, value = NUMBERS[code]
    return {"system": system, "value": value, **more}


def qualification(code: str, **more: Any) -> Json:
    return {"code": {"coding": [{"system": SYSTEM, "code": code}]}, **more}


def member(*codes: str, **period: str) -> Json:
    """Registered with each of these, and with no period for ever."""
    when = {"period": period} if period else {}
    return practitioner(*[qualification(code, identifier=[number(code)], **when) for code in codes])


def practitioner(*qualifications: Json, **more: Any) -> Json:
    return {"resourceType": "Practitioner", "qualification": list(qualifications), **more}
