"""Whom people and authorities turn to: the contact of the clinic's Organization that is for privacy.

GDPR Art. 13(1)(b), 33(3)(b), 37(7); row S45.
"""

from fhir_server.engine.call import Call
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.json import Json
from fhir_server.privacy.reading import everything

SYSTEM, PRIVACY = "urn:aesthetic-fhir-server:contact", "privacy"
_MOST = 1_000


async def privacy_contact(engine: Engine, call: Call) -> str:
    """In one line; empty where none is designated."""
    for stored in await everything(engine, call, "Organization", most=_MOST):
        for contact in stored.resource.get("contact", []):
            codings = contact.get("purpose", {}).get("coding", [])
            if any((one.get("system"), one.get("code")) == (SYSTEM, PRIVACY) for one in codings):
                return line(stored.resource, contact)
    return ""


def line(organization: Json, contact: Json) -> str:
    named = contact.get("name", {})
    whole = " ".join([*named.get("prefix", []), *named.get("given", []), named.get("family", "")]).strip()
    reached = [str(one.get("value", "")) for one in contact.get("telecom", [])]
    parts = [str(organization.get("name", "")), str(named.get("text", "") or whole), *reached]
    return ", ".join(part for part in parts if part)
