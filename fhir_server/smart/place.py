"""Where a resource lies and whom it concerns: all that a rule has to know of it, stored or about to be.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from dataclasses import dataclass
from datetime import datetime

from fhir_server.engine.change import Change
from fhir_server.engine.stored import Stored
from fhir_server.fhir.compartments import memberships
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from fhir_server.search.match import Candidate

_PATIENT = "Patient/"


@dataclass(frozen=True, slots=True)
class Place:
    """`access`: references of the compartments it lies in. `subjects`: ids of the patients it names."""

    key: ResourceKey
    access: tuple[str, ...]
    subjects: tuple[str, ...]
    instant: datetime
    source: Stored | Json

    @classmethod
    def of_stored(cls, stored: Stored) -> "Place":
        return cls(stored.key, stored.access, stored.subjects, stored.last_updated, stored)

    @classmethod
    def of_new(cls, change: Change, resource: Json, base: str, now: datetime) -> "Place":
        return cls(change.key, memberships(resource, base), change.subjects, now, resource)

    @property
    def patients(self) -> tuple[str, ...]:
        """Those in whose compartments it lies; where it lies in none, those that it names."""
        lies_in = tuple(one[len(_PATIENT) :] for one in self.access if one.startswith(_PATIENT))
        return lies_in or self.subjects

    @property
    def concerned(self) -> frozenset[str]:
        """All of them, in whichever way."""
        return frozenset(self.patients) | frozenset(self.subjects)

    @property
    def names_only(self) -> bool:
        """It lies in nobody's compartment: then it is everybody's whom it names, and nobody's alone."""
        return not any(one.startswith(_PATIENT) for one in self.access)

    @property
    def candidate(self) -> Candidate:
        resource = self.source.resource if isinstance(self.source, Stored) else self.source
        return Candidate(self.key.type, self.key.id, self.instant, frozenset(self.access), resource)
