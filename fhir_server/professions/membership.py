"""Under which bodies a practitioner stands, by `Practitioner.qualification`, and whether that held at an instant. Pure.

Rows T5 to T7. A body is named by the code or the issuer of a qualification, by the system of its identifiers, or by
that of an identifier of the practitioner. https://hl7.org/fhir/R4/practitioner-definitions.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fhir_server.consent.match import Match
from fhir_server.consent.period import covers
from fhir_server.kernel.json import Json
from fhir_server.professions.body import Bodies, Body

SYSTEM = "urn:aesthetic-fhir-server:professional-body"


@dataclass(frozen=True, slots=True)
class Membership:
    """`qualifications`: those that name the body; `identifiers`: those of the practitioner that it may have given."""

    body: Body
    qualifications: tuple[Json, ...]
    identifiers: tuple[Json, ...]

    def lacks(self, at: datetime) -> str:
        """Why this was no registration at that instant; empty where it was one."""
        numbers = [(one, period) for one, period in self._numbers() if one]
        if not numbers:
            return f"No number of the {self.body.code} is on record."
        formed = [period for number, period in numbers if self.body.is_formed(number)]
        if not formed:
            return f"No number on record has the form of the {self.body.code}: {self.body.form_says}."
        if not any(all(covers(one, at) is Match.YES for one in periods) for periods in formed):
            return f"No registration with the {self.body.code} on record was current then."
        return ""

    def _numbers(self) -> Iterator[tuple[str, tuple[object, ...]]]:
        """Each number, with the periods in which it counts."""
        for qualification in self.qualifications:
            own = _of_systems(qualification.get("identifier", []), self.body)
            for one in own or self.identifiers:
                yield str(one.get("value", "")), (qualification.get("period"), one.get("period"))
        if not self.qualifications:
            for one in self.identifiers:
                yield str(one.get("value", "")), (one.get("period"),)


def memberships(practitioner: Json, bodies: Bodies) -> tuple[Membership, ...]:
    """All of them: where two bodies hold, both do."""
    found = []
    for body in bodies.values():
        identifiers = _of_systems(practitioner.get("identifier", []), body)
        named = tuple(one for one in practitioner.get("qualification", []) if _names(one, body))
        if named or (identifiers and not body.shared):
            found.append(Membership(body, named, identifiers))
    return tuple(found)


def is_unknown(practitioner: Json, bodies: Bodies) -> bool:
    """Does a qualification name, by our system, a body that is not here? Then its rules are not guessed."""
    named = {code for one in practitioner.get("qualification", []) for code in _codes(one)}
    return not named <= bodies.keys()


def numbers_of(practitioner: Json, body: Body) -> Iterator[tuple[str, str]]:
    """Every number of the body that it bears, with its place."""
    places = [("Practitioner.identifier", practitioner)]
    for index, one in enumerate(practitioner.get("qualification", [])):
        places.append((f"Practitioner.qualification[{index}].identifier", one))
    for place, holder in places:
        for index, identifier in enumerate(holder.get("identifier", [])):
            if identifier.get("system") in body.systems and "value" in identifier:
                yield f"{place}[{index}].value", str(identifier["value"])


def _names(qualification: Json, body: Body) -> bool:
    given = _of_systems(qualification.get("identifier", []), body)
    return body.code in _codes(qualification) or bool(given and not body.shared)


def _codes(qualification: Json) -> set[str]:
    said = {str(one.get("code")) for one in qualification["code"].get("coding", []) if one.get("system") == SYSTEM}
    issuer = qualification.get("issuer", {}).get("identifier", {})
    return said | ({str(issuer.get("value"))} if issuer.get("system") == SYSTEM else set())


def _of_systems(identifiers: list[Json], body: Body) -> tuple[Json, ...]:
    return tuple(one for one in identifiers if one.get("system") in body.systems)
