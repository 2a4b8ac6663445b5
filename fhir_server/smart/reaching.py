"""Whether a resource lies within a right, and by which rule: pure, once the ties are known.

Architecture section 9: 404, as for an unknown id, where compartment, granular scope or tie refuses.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias

from fhir_server.engine.call import Call
from fhir_server.engine.stored import Stored
from fhir_server.smart.place import Place
from fhir_server.smart.rights import Granted, Right, Rights
from fhir_server.smart.roles import Reach

Known: TypeAlias = Mapping[str, str | None]
"""Id of a patient -> what ties the caller to that patient; None where nothing does."""


class Ties(Protocol):
    """Who knows what ties a caller to a patient; `smart.ties` looks it up in the record."""

    async def know(self, call: Call, rights: Rights, patients: Iterable[str], seen: Stored | None = None) -> None:
        """Put into the call's trace what ties the caller to each of these. `seen`: what may itself be a tie."""
        ...

    async def patients(self, call: Call, rights: Rights) -> tuple[str, ...] | None:
        """All to whom the caller is tied now; None where they are too many to be listed."""
        ...


class NoTies:
    """Nobody is tied to anybody."""

    async def know(self, call: Call, rights: Rights, patients: Iterable[str], seen: Stored | None = None) -> None:
        call.trace.ties.update(dict.fromkeys(patients))

    async def patients(self, call: Call, rights: Rights) -> tuple[str, ...]:
        return ()


def reached(rights: Rights, right: Right, place: Place, ties: Known) -> Granted | None:
    """The rule under which the caller has to do with this resource; None where there is none."""
    if not _in_scope(right, place):
        return None
    for granted in right.rules:
        if reaches(rights, granted, place, ties) and (granted.meets is None or granted.meets(place.candidate)):
            return granted
    return None


def asked_of(rights: Rights, right: Right, place: Place) -> tuple[str, ...]:
    """The patients whose ties have to be known before `reached` can say."""
    if not right.tied or not _in_scope(right, place):
        return ()
    if rights.own is not None or rights.is_about_one(right.type):
        return (rights.own,) if rights.own in place.patients else ()
    return place.patients


def _in_scope(right: Right, place: Place) -> bool:
    if right.within is not None:
        return right.within in place.access
    return right.meets is None or right.meets(place.candidate)


def reaches(rights: Rights, granted: Granted, place: Place, ties: Known) -> bool:
    """By its reach alone, whatever its `where` asks."""
    match granted.rule.reach:
        case Reach.ALL:
            return True
        case Reach.IMPERSONAL:
            return not place.patients
        case Reach.OWN:
            untied = rights.role is not None and rights.role.tie is None
            return _concerns(
                place, [patient == rights.own and (untied or _tied(patient, ties)) for patient in place.patients]
            )
        case _:
            several = not rights.is_about_one(place.key.type)
            return _concerns(
                place, [(several or patient == rights.own) and _tied(patient, ties) for patient in place.patients]
            )


def _tied(patient: str, ties: Known) -> bool:
    return ties.get(patient) is not None


def _concerns(place: Place, theirs: list[bool]) -> bool:
    """One compartment that it lies in is enough; of those whom it merely names each has to be theirs."""
    return bool(theirs) and (all(theirs) if place.names_only else any(theirs))
