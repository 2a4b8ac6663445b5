"""Is this patient one whom the other server knows? By a number that both have and no birth date against it, else not.

Nobody is the same by name, e-mail or telephone. Several, or one of another birth date, are for a person to look at.
"""

from collections.abc import Sequence

from mappers.fhir_sync.elements import COPY_OF
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import criteria
from mappers.mapping.json_text import Json

DOUBTFUL = "It may be somebody whom the other side knows: a number is the same, and something else is not."


def numbers(patient: Json) -> list[Json]:
    """Those by which somebody may be looked for."""
    said = [one for one in patient.get("identifier", ()) if one.get("system") and one.get("value")]
    return [one for one in said if one.get("use") not in {"secondary", "old"} and one["system"] != COPY_OF]


def query(patient: Json) -> str | None:
    values = [criteria(one["system"], one["value"]).removeprefix("identifier=") for one in numbers(patient)]
    return f"Patient?identifier={','.join(values)}&_count=10" if values else None


def same(patient: Json, found: Sequence[Json]) -> Json | None:
    """UnusableError where it cannot be said."""
    known = {(one["system"], one["value"]) for one in numbers(patient)}
    alike = [one for one in found if known & {(each["system"], each["value"]) for each in numbers(one)}]
    if not alike:
        return None
    if len(alike) > 1 or _is_another(patient, alike[0]):
        raise UnusableError(DOUBTFUL)
    return alike[0]


def _is_another(one: Json, other: Json) -> bool:
    born = {each["birthDate"] for each in (one, other) if "birthDate" in each}
    return len(born) > 1
