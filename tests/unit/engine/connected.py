"""A small clinic whose resources refer to each other, and a step that hides some of them."""

from fhir_server.engine.call import Call
from fhir_server.engine.change import Change
from fhir_server.engine.limits import Limits
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored
from fhir_server.fhir.compartments import subjects
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.fakes.clinic import BASE
from tests.unit.engine.calls import Running, running


def resource(type: str, id: str, /, **elements: object) -> Json:
    return {"resourceType": type, "id": id, **elements}


def to(key: str) -> Json:
    return {"reference": key}


def observation(id: str, patient: str, code: str = "weight", **elements: object) -> Json:
    about = {"subject": to(f"Patient/{patient}"), "code": {"coding": [{"code": code}]}}
    return resource("Observation", id, status="final", **about, **elements)


ANN = resource("Patient", "ann", name=[{"family": "Berg"}], gender="female", generalPractitioner=[to("Practitioner/p")])
BEN = resource("Patient", "ben", name=[{"family": "Berg"}], gender="male", managingOrganization=to("Organization/ward"))
CARL = resource("Patient", "carl", name=[{"family": "Carlson"}])
EVERYTHING = [
    ANN,
    BEN,
    CARL,
    resource("Practitioner", "p", name=[{"family": "House"}]),
    resource("Organization", "trust", name="Trust"),
    resource("Organization", "clinic", name="Clinic", partOf=to("Organization/trust")),
    resource("Organization", "ward", name="Ward", partOf=to(f"{BASE}/Organization/clinic")),
    observation("o1", "ann"),
    observation("o2", "ben", "height", performer=[to("Practitioner/p")]),
    observation("o3", "carl"),
    resource("Group", "g", type="person", actual=True, member=[{"entity": to("Patient/carl")}]),
    resource("Schedule", "s", actor=[to("Practitioner/p")]),
    resource("Slot", "free", schedule=to("Schedule/s"), status="free", start="2024-05-01T09:00:00Z"),
    resource(
        "List",
        "l",
        status="current",
        mode="working",
        entry=[
            {"item": to("Patient/ben")},
            {"item": to("Observation/o1")},
            {"item": to("Patient/ann"), "deleted": True},
            {"item": {"display": "somebody"}},
        ],
    ),
    resource("Questionnaire", "q1", url="http://x.example/Q", version="1", status="active", title="Skin"),
    resource("Questionnaire", "q2", url="http://x.example/Q", version="2", status="active", title="Skin"),
    resource("QuestionnaireResponse", "r1", questionnaire="http://x.example/Q|1", status="completed"),
    resource("QuestionnaireResponse", "r2", questionnaire="http://x.example/Q", status="in-progress"),
]


async def filled(*steps: Step, limits: Limits | None = None, more: list[Json] | None = None) -> Running:
    at = running(*steps, limits=limits)
    for one in [*EVERYTHING, *(more or [])]:
        key = ResourceKey(one["resourceType"], one["id"])
        await at.clinic.resources.commit([Change(key, one, None, subjects(one, BASE))])
    return at


class Hiding(Step):
    """Some do not exist for this caller."""

    def __init__(self, *hidden: str) -> None:
        self._hidden = hidden

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        return None if str(stored.key) in self._hidden else stored
