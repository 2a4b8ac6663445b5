"""Which figures are taken, beside which floor, and what the prototype's processor time allows.

The design of the sealed storage, section 4: a prototype without scopes and consent, 16 clients, two cores.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from benchmarks import floors, payloads
from benchmarks.deployment import Deployment
from benchmarks.load import Target

CLIENTS = (1, 16)
BUDGET_CLIENTS = 16
BUDGET_FACTOR = 1.5
PATIENTS = 2000
"""Searched patients that are stored before anything is measured."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the prototype spent on one request: milliseconds of processor time of server and database, and its rate."""

    server: float
    database: float
    rate: float


@dataclass(frozen=True, slots=True)
class Figure:
    """`floor` names the figure that it is compared with; a floor has none. `resources` in one request."""

    name: str
    says: str
    floor: str | None = None
    budget: Budget | None = None
    resources: int = 1


FIND, INSERT = "floor: find_one", "floor: insert_one"
FIGURES = (
    Figure(FIND, "a bare handler with one find_one of a document of the same size"),
    Figure(INSERT, "a bare handler with one insert_one of the same body, majority and journal"),
    Figure(
        "create",
        "POST a Patient of about 1.7 kB: a patient nobody knew, so two keys and a head row are made as well",
        INSERT,
        Budget(1.2, 0.4, 641),
    ),
    Figure(
        "create, known patient",
        "POST an Observation of a patient whose keys are there: the prototype made none",
        INSERT,
        Budget(1.2, 0.4, 641),
    ),
    Figure("update", "PUT a Patient of about 1.7 kB; the version before goes to the history", INSERT),
    Figure("read", "GET a Patient, its access recorded before the answer", FIND, Budget(0.8, 0.3, 1254)),
    Figure("search", "GET Patient?name= with 20 hits, each recorded", FIND, Budget(2.5, 0.9, 399)),
    Figure(
        "transaction",
        f"POST a transaction of {payloads.ENTRIES} entries: a Patient and their Observations",
        INSERT,
        Budget(0.29 * payloads.ENTRIES, 0.09 * payloads.ENTRIES, 2810 / payloads.ENTRIES),
        payloads.ENTRIES,
    ),
)


def targets(deployment: Deployment, patients: list[str]) -> dict[str, Target]:
    """By figure. `patients`: the ids of the searched patients; all clients of a figure share its requests."""
    server, floor, token = deployment.server.port, deployment.floor.port, deployment.token
    groups = len(patients) // payloads.SAME_NAME

    def reads() -> Iterator[bytes]:
        return (request("GET", f"/fhir/Patient/{patients[number * 7 % len(patients)]}", token) for number in count())

    def observations() -> Iterator[bytes]:
        return (
            request("POST", "/fhir/Observation", token, payloads.observation(patients[n * 7 % len(patients)], n))
            for n in count()
        )

    def updates() -> Iterator[bytes]:
        numbers = (number * 7 % len(patients) for number in count())
        return (
            request("PUT", f"/fhir/Patient/{patients[n]}", token, payloads.known_patient(patients[n], n))
            for n in numbers
        )

    def searches() -> Iterator[bytes]:
        return (
            request("GET", f"/fhir/Patient?name={payloads.family(number * 7 % groups)}", token) for number in count()
        )

    return {
        FIND: Target(floor, (request("GET", f"/find/{number * 7 % floors.DOCUMENTS}") for number in count()), 200),
        INSERT: Target(floor, (request("POST", "/insert", "", payloads.other_patient(n)) for n in count()), 201),
        "create": Target(
            server, (request("POST", "/fhir/Patient", token, payloads.other_patient(n)) for n in count()), 201
        ),
        "create, known patient": Target(server, observations(), 201),
        "update": Target(server, updates(), 200),
        "read": Target(server, reads(), 200),
        "search": Target(server, searches(), 200),
        "transaction": Target(server, (request("POST", "/fhir", token, payloads.transaction(n)) for n in count()), 200),
    }


def request(method: str, path: str, token: str = "", body: bytes = b"") -> bytes:
    """The bytes of one HTTP/1.1 request."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    content = f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}{content}\r\n".encode() + body
