"""Step: a call does what its scopes allow, and a patient's token sees that patient's compartment.

R-SMART-043, -047, -052, -054. Checked in admit, narrow, prepare and disclose: each of them can be the only one passed.
"""

from collections.abc import Collection

from fhir_server.engine.call import ANONYMOUS, Call, Interaction
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored
from fhir_server.fhir.compartments import memberships
from fhir_server.fhir.definitions import compartments
from fhir_server.kernel.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.tree import InCompartment, Mandate, Query
from fhir_server.smart.scopes import Reach, Scope, parse_all, reach

_LETTER = {
    Interaction.CREATE: "c",
    Interaction.READ: "r",
    Interaction.VREAD: "r",
    Interaction.HISTORY_INSTANCE: "r",
    Interaction.UPDATE: "u",
    Interaction.PATCH: "u",
    Interaction.OPERATION: "u",
    Interaction.DELETE: "d",
    Interaction.SEARCH_TYPE: "s",
    Interaction.SEARCH_SYSTEM: "s",
    Interaction.HISTORY_TYPE: "s",
    Interaction.HISTORY_SYSTEM: "s",
}
_ENTRY_BY_ENTRY = frozenset({Interaction.BATCH, Interaction.TRANSACTION})

SHARED_WITH_PATIENTS = frozenset(
    {"Organization", "Practitioner", "PractitionerRole", "Location", "HealthcareService", "Medication", "Questionnaire"}
)
"""Types in no patient's compartment that a patient's app may read: they describe the clinic, nobody treated."""


class Access(Step):
    """`base` is the server's own FHIR base: an absolute reference under it is a reference to one of its patients."""

    def __init__(self, base: str) -> None:
        self._base = base

    async def admit(self, call: Call) -> None:
        if call.principal is ANONYMOUS:
            raise UnauthenticatedError("A bearer token is needed.")
        if call.interaction in _ENTRY_BY_ENTRY:
            return
        _require_any(call)

    async def narrow(self, call: Call, query: Query) -> Query:
        _require_any(call)
        if _reach(call) is Reach.ALL or query.type in SHARED_WITH_PATIENTS:
            return query
        if "Patient" not in compartments(query.type):
            raise ForbiddenError(f"{query.type} lies in no patient's compartment.")
        return query.must(Mandate(InCompartment(_own(call)), by="smart.compartment"))

    async def prepare(self, call: Call, change: Change) -> Change:
        """On the stored and on the new version: neither may lie outside."""
        _require_any(call)
        if _reach(call) is Reach.ALL:
            return change
        if change.previous is not None and _own(call) not in change.previous.access:
            raise NotFoundError("There is no resource with this id.")
        if change.resource is not None and _own(call) not in memberships(change.resource, self._base):
            raise ForbiddenError("The resource would lie outside the compartment of the patient in context.")
        return change

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        if _may_see(call, stored):
            return stored
        return None


def may_read(call: Call, stored: Stored) -> bool:
    """May a write that succeeded be answered with the resource? `u` and `c` do not imply `r` (R-SMART-048)."""
    if not reads_type(call, stored.key.type):
        return False
    found = reach(_scopes(call), "r", stored.key.type)
    return found is Reach.ALL or _own(call) in stored.access


def reads_type(call: Call, type: str) -> bool:
    """Does any scope let the caller read this type at all?"""
    found = reach(_scopes(call), "r", type)
    return found is Reach.ALL or (found is Reach.PATIENT and call.principal.patient is not None)


def may_name(call: Call, key: ResourceKey, access: Collection[str]) -> bool:
    """May a write that refers to it succeed or fail by whether it exists? `access`: the compartments it lies in."""
    if _reach(call) is Reach.ALL:
        return True
    return key.type in SHARED_WITH_PATIENTS or _own(call) in access


def _require_any(call: Call) -> None:
    if _reach(call) is Reach.NONE:
        raise ForbiddenError(f"No granted scope allows {call.interaction} on {call.type}.")


def _may_see(call: Call, stored: Stored) -> bool:
    found = _reach(call, stored.key.type)
    if found is Reach.PATIENT:
        return stored.key.type in SHARED_WITH_PATIENTS or _own(call) in stored.access
    return found is Reach.ALL


def _reach(call: Call, type: str | None = None) -> Reach:
    letter = _LETTER.get(call.interaction)
    if letter is None:
        return Reach.NONE
    found = reach(_scopes(call), letter, type or str(call.type))
    # A patient/ scope without a patient in context reaches nobody.
    return Reach.NONE if found is Reach.PATIENT and not call.principal.patient else found


def _scopes(call: Call) -> tuple[Scope, ...]:
    """Fail closed: until roles are told apart, only clinicians and services go beyond the patient in context (S7)."""
    found = parse_all(call.principal.scopes)
    if call.principal.role is None or call.principal.role in _BEYOND_ONE_PATIENT:
        return found
    return tuple(scope for scope in found if scope.context == "patient")


_BEYOND_ONE_PATIENT = frozenset({"practitioner", "nurse", "clinical-lead", "system"})


def _own(call: Call) -> str:
    return f"Patient/{call.principal.patient}"
