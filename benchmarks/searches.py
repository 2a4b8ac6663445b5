"""Which searches are measured, and what the project asks of them; each beside the same search on plain documents."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from benchmarks import payloads, population
from benchmarks.deployment import Deployment
from benchmarks.figures import request
from benchmarks.load import Target
from benchmarks.population import Population

_YEARS = 7
_FIRST_YEAR, _SPREAD = 1936, 60
_STRIDE = 7


@dataclass(frozen=True, slots=True)
class Search:
    """`asked` and `plainly` give the path for a number; `hits` is what one of them finds, where it is fixed.

    `least`: requests a second that the project asks for at 16 clients on two processors.
    """

    name: str
    says: str
    least: float
    asked: Callable[[Population, int], str]
    plainly: Callable[[Population, int], str]
    hits: int | None = None


def _some(people: Population, number: int) -> int:
    return number * _STRIDE % people.patients


def _name(people: Population, number: int) -> str:
    return population.name_prefix(number * _STRIDE % people.names)


def _years(number: int) -> tuple[str, str]:
    first = _FIRST_YEAR + number * _STRIDE % _SPREAD
    return f"{first}-01-01", f"{first + _YEARS}-01-01"


def _record(people: Population, number: int) -> str:
    return population.record_number(_some(people, number))


SEARCHES = (
    Search(
        "name prefix",
        f"Patient by the first letters of a family name, {payloads.SAME_NAME} hits, an audit event for each",
        600,
        lambda people, number: f"/fhir/Patient?name={_name(people, number)}",
        lambda people, number: f"/plain/name/{_name(people, number)}",
        payloads.SAME_NAME,
    ),
    Search(
        "birth-date range",
        f"Patient born within {_YEARS} years, the first page of 20, an audit event for each",
        600,
        lambda _, number: "/fhir/Patient?_count=20&birthdate=ge{}&birthdate=lt{}".format(*_years(number)),
        lambda _, number: "/plain/born/{}/{}".format(*_years(number)),
    ),
    Search(
        "Observation by subject",
        f"all {population.OBSERVATIONS} Observations of a Patient",
        700,
        lambda people, number: f"/fhir/Observation?subject=Patient/{population.patient_id(_some(people, number))}",
        lambda people, number: f"/plain/subject/{population.patient_id(_some(people, number))}",
        population.OBSERVATIONS,
    ),
    Search(
        "identifier",
        "Patient by system and value",
        1000,
        lambda people, number: f"/fhir/Patient?identifier={population.RECORD_NUMBERS}%7C{_record(people, number)}",
        lambda people, number: f"/plain/identifier?system={population.RECORD_NUMBERS}&value={_record(people, number)}",
        1,
    ),
    Search(
        "audited read",
        "a Patient by id, the access recorded before the answer",
        1100,
        lambda people, number: f"/fhir/Patient/{population.patient_id(_some(people, number))}",
        lambda people, number: f"/plain/read/{population.patient_id(_some(people, number))}",
    ),
)


def sealed(deployment: Deployment, people: Population, search: Search) -> Target:
    def requests() -> Iterator[bytes]:
        return (request("GET", search.asked(people, number), deployment.token) for number in count())

    return Target(deployment.server.port, requests(), 200)


def plainly(deployment: Deployment, people: Population, search: Search) -> Target:
    def requests() -> Iterator[bytes]:
        return (request("GET", search.plainly(people, number)) for number in count())

    return Target(deployment.floor.port, requests(), 200)
