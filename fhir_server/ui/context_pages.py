"""In which role, and about which patient: what a token is given before anybody consents to it.

R-SMART-022 (one patient whom the user may access), -023; row S60 (a token acts in one role). Patients are looked for
and read through the engine, in that role's rights.
"""

from dataclasses import replace

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import FhirError, ForbiddenError, InvalidRequestError, TooCostlyError
from fhir_server.kernel.identity import ResourceKey, is_id, parse_reference
from fhir_server.search.parse import parse
from fhir_server.smart.approval import Pending
from fhir_server.smart.signin.sessions import Chosen
from fhir_server.smart.signin.steps import Step, after_sign_in, needs_patient, own_patient, picks_patients
from fhir_server.smart.signin.users import User
from fhir_server.ui import flow
from fhir_server.ui.answers import NOT_FOUND, Answer, Go, Show, wrong
from fhir_server.ui.patient_list import listed
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Signed, Visit

_SHOWN = "20"


async def get_role(surface: Surface, visit: Visit) -> Answer:
    """Not asked of somebody who has but one."""
    ready = _ready(surface, visit)
    if isinstance(ready, Go):
        return ready
    signed, pending = ready
    if len(signed.user.roles) == 1:
        return await _with_role(surface, visit, signed, pending, signed.user.roles[0])
    return Show("role", _role_values(signed, pending))


async def post_role(surface: Surface, visit: Visit) -> Answer:
    ready = _ready(surface, visit)
    if isinstance(ready, Go):
        return ready
    signed, pending = ready
    role = visit.form.get("role")
    if role not in signed.user.roles:
        return wrong("role", _role_values(signed, pending), "role-missing", "role")
    return await _with_role(surface, visit, signed, pending, role)


async def get_patient(surface: Surface, visit: Visit) -> Answer:
    ready = _ready(surface, visit)
    if isinstance(ready, Go):
        return ready
    signed, pending = ready
    if _role(signed, pending) is None:
        return flow.go(surface, visit, Step.ROLE)
    return Show("patient", _patient_values(visit, pending))


async def post_patient(surface: Surface, visit: Visit) -> Answer:
    """A search, by POST so that no name stands in an address; or the choice of one."""
    ready = _ready(surface, visit)
    if isinstance(ready, Go):
        return ready
    signed, pending = ready
    role = _role(signed, pending)
    if role is None or not picks_patients(role):
        return flow.go(surface, visit, Step.ROLE)
    id = visit.form.get("patient")
    if not id:
        return await _found(surface, visit, signed, pending, role)
    if not await _may_see(surface, signed.user, pending, role, id):
        return wrong("patient", _patient_values(visit, pending), "patient-unknown", "name")
    return await _chosen(surface, visit, signed, Chosen(pending.id, role, id))


async def _with_role(surface: Surface, visit: Visit, signed: Signed, pending: Pending, role: str) -> Answer:
    """Whoever is served by the clinic has one patient; staff have the launch's, or pick one."""
    if picks_patients(role):
        patient = pending.patient
        allowed = patient is None or await _may_see(surface, signed.user, pending, role, patient)
    else:
        patient = await _own(surface, signed.user, pending, role)
        allowed = (patient is not None or not needs_patient(pending)) and pending.patient in {None, patient}
    if not allowed:
        return Show("fault", {"fault_key": "patient-not-yours"}, NOT_FOUND)
    return await _chosen(surface, visit, signed, Chosen(pending.id, role, patient))


async def _chosen(surface: Surface, visit: Visit, signed: Signed, chosen: Chosen) -> Answer:
    kept = await surface.door.sessions.keep(replace(signed.sign_in, chosen=chosen))
    return flow.onward(surface, visit, replace(signed, sign_in=kept)) if kept else flow.go(surface, visit, Step.SIGN_IN)


async def _own(surface: Surface, user: User, pending: Pending, role: str) -> str | None:
    """A patient's own id; a related person's, as the record has it."""
    if own := own_patient(user, role):
        return own
    key = parse_reference(user.fhir_user or "")
    found = await _read(surface, user, pending, role, key) if key and key.type == "RelatedPerson" else None
    named = parse_reference(found.resource.get("patient", {}).get("reference", "")) if found else None
    return named.id if named and named.type == "Patient" else None


async def _may_see(surface: Surface, user: User, pending: Pending, role: str, id: str) -> bool:
    return is_id(id) and await _read(surface, user, pending, role, ResourceKey("Patient", id)) is not None


async def _read(surface: Surface, user: User, pending: Pending, role: str, key: ResourceKey) -> Stored | None:
    """None for what this user may not see; a fault of ours is not that."""
    call = Call(Interaction.READ, _acting(surface, user, pending, role, key.type), surface.clock.now(), *key)
    try:
        return await surface.engine.read(call)
    except FhirError as failure:
        if failure.status >= _OURS:
            raise
        return None


_OURS = 500


async def _found(surface: Surface, visit: Visit, signed: Signed, pending: Pending, role: str) -> Answer:
    given = [(name, visit.form.get(name).strip()) for name in ("name", "birthdate")]
    values = _patient_values(visit, pending)
    if not any(value for _, value in given):
        return wrong("patient", values, "patient-search-empty", "name")
    try:
        query = parse("Patient", [*((name, value) for name, value in given if value), ("_count", _SHOWN)])
        call = Call(
            Interaction.SEARCH_TYPE,
            _acting(surface, signed.user, pending, role, "Patient"),
            surface.clock.now(),
            "Patient",
            client_address=visit.place.address,
        )
        page = await surface.engine.search(call, query)
    except (InvalidRequestError, TooCostlyError):
        return wrong("patient", values, "patient-search-wrong", "birthdate")
    except ForbiddenError:  # a role that sees no patient
        return Show("patient", {**values, "found": []})
    return Show("patient", {**values, "found": listed(page.matches), "more": page.next is not None})


def _acting(surface: Surface, user: User, pending: Pending, role: str, type: str) -> Principal:
    """The person in that role, with no more than it takes to find whom the token will be about."""
    return Principal(
        user.id,
        pending.client_id,
        surface.base_url,
        "",
        (f"user/{type}.rs",),
        fhir_user=user.fhir_user,
        name=user.name,
        role=role,
    )


def _ready(surface: Surface, visit: Visit) -> tuple[Signed, Pending] | Go:
    """Somebody signed in well enough for this request; else where they have to go."""
    if visit.signed is None or visit.pending is None:
        return flow.go(surface, visit, Step.SIGN_IN)
    step = after_sign_in(visit.signed.user, visit.signed.sign_in, visit.pending, surface.clock.now())
    if step is Step.SIGN_IN:
        return flow.go(surface, visit, Step.SIGN_IN)
    return visit.signed, visit.pending


def _role(signed: Signed, pending: Pending) -> str | None:
    chosen = signed.sign_in.chosen
    return chosen.role if chosen and chosen.request == pending.id and chosen.role in signed.user.roles else None


def _role_values(signed: Signed, pending: Pending) -> dict[str, object]:
    return {"roles": signed.user.roles, "client_name": pending.client_name}


def _patient_values(visit: Visit, pending: Pending) -> dict[str, object]:
    return {
        "client_name": pending.client_name,
        "name": visit.form.get("name"),
        "birthdate": visit.form.get("birthdate"),
        "found": None,
        "more": False,
    }
