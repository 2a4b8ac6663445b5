"""Take back what one agreed to: signed in, or by the link of a copy, without an account.

GDPR Art. 7(3); requirements S43, T95, T96: as easy as giving, no reason asked.
"""

from fhir_server.consent.provision import purposes
from fhir_server.consent.purposes import BY_CODE
from fhir_server.consent.terms import channels
from fhir_server.engine.call import Principal
from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import parse_reference
from fhir_server.privacy.desk import Visitor
from fhir_server.ui.answers import NOT_FOUND, Answer, Go, Show, path, wrong
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Signed, Visit

_SCOPES = ("patient/Consent.cruds",)


async def get(surface: Surface, visit: Visit) -> Answer:
    visitor = await _visitor(surface, visit)
    return visitor if isinstance(visitor, Go | Show) else Show("withdraw", await _values(surface, visit, visitor))


async def post(surface: Surface, visit: Visit) -> Answer:
    visitor = await _visitor(surface, visit)
    if isinstance(visitor, Go | Show):
        return visitor
    assert surface.desk is not None
    if not await surface.desk.withdraw(visitor, visit.form.get("consent")):
        return wrong("withdraw", await _values(surface, visit, visitor), "withdraw-nothing", "consents")
    return Show("withdraw", {**await _values(surface, visit, visitor), "done": True})


def patient_of(signed: Signed | None) -> Visitor | None:
    """Somebody who is signed in as a patient, with a token's worth of rights over their own consents."""
    key = parse_reference(signed.user.fhir_user or "") if signed else None
    if signed is None or key is None or key.type != "Patient":
        return None
    user = signed.user
    principal = Principal(
        user.id, "pages", "", "", _SCOPES, patient=key.id, fhir_user=user.fhir_user, name=user.name, role="patient"
    )
    return Visitor(principal, key.id, "patient")


async def _visitor(surface: Surface, visit: Visit) -> Visitor | Answer:
    if surface.desk is None:
        return Show("fault", {"fault_key": "unavailable"}, NOT_FOUND)
    if visit.link:
        found = await surface.desk.by_link(visit.link)
        return found or Show("fault", {"fault_key": "link-gone"}, NOT_FOUND)
    return patient_of(visit.signed) or Go(path(surface.root, "sign-in"))


async def _values(surface: Surface, visit: Visit, visitor: Visitor) -> dict[str, object]:
    assert surface.desk is not None
    found = await surface.desk.in_force(visitor)
    return {"consents": [_told(visit, one) for one in found], "link": visit.link, "done": False}


def _told(visit: Visit, one: Stored) -> dict[str, object]:
    """In the words of the language; a purpose that is not ours by its own name."""
    named = sorted(str(each) for each in purposes(one.resource.get("provision", {})))
    words = [visit.words(f"purpose-{each}") if each in BY_CODE else each for each in named]
    where = sorted(str(each) for each in channels(one.resource))
    return {
        "id": one.key.id,
        "purposes": words,
        "channels": [visit.words(f"channel-{each}") for each in where if visit.words.knows(f"channel-{each}")],
        "since": str(one.resource.get("dateTime", ""))[:10],
    }
