"""Calls, and an engine on a clinic in memory, with the steps that a test chooses."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from fhir_server.audit.recorder import Recorder
from fhir_server.engine.batch import Batches
from fhir_server.engine.bundle_plan import Planning
from fhir_server.engine.bundle_reads import BundleReads
from fhir_server.engine.bundles import Bundles
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.conditional import Conditional
from fhir_server.engine.courtesy import Courtesy
from fhir_server.engine.drafts import Drafts
from fhir_server.engine.existence import Existence
from fhir_server.engine.history import Histories
from fhir_server.engine.interactions import Engine
from fhir_server.engine.limits import Limits
from fhir_server.engine.pipeline import Pipeline, Step
from fhir_server.engine.transaction import Transactions
from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.search.language import Language
from fhir_server.smart.access import may_name
from tests.fakes.clinic import BASE, FakeClinic
from tests.fakes.clock import NOW

SYSTEM = Principal("system", "client", "issuer", "jti", ("system/*.cruds",))
SERVER = Principal("server", "server", "", "", ("system/*.cruds",))


@dataclass
class Running:
    clinic: FakeClinic
    engine: Engine
    drafts: Drafts
    bundles: Bundles

    def events(self) -> list[Json]:
        return [json.decode(event) for _, event in self.clinic.memory.events.values()]

    def outcomes(self) -> list[tuple[str, str]]:
        """(what was tried, how it went) of each event."""
        return [(event["subtype"][0]["code"], event["outcome"]) for event in self.events()]


def running(
    *steps: Step,
    most_candidates: int = 2000,
    most_entries: int = 50,
    limits: Limits | None = None,
    refuse_missing: bool | None = None,
) -> Running:
    """With `refuse_missing` given, what a write refers to is looked up as it is in a clinic."""
    clinic = FakeClinic()
    numbers = count(1)
    if refuse_missing is not None:
        existence = Existence(clinic.resources, BASE, may_name, SERVER, refuse_missing=refuse_missing)
        steps = (*steps, existence)
    pipeline = Pipeline((*steps, Recorder(clinic.audit, BASE)))

    def new_id() -> str:
        return f"id{next(numbers)}"

    drafts = Drafts(clinic.resources, pipeline, new_id, BASE, SERVER)
    engine = Engine(
        clinic.resources,
        pipeline,
        drafts,
        lambda: Language(BASE),
        limits or Limits(most_candidates),
        Courtesy(patience=2),
    )
    planning = Planning(engine, new_id, clinic.clock, delete_several=False)
    reads = BundleReads(engine, Histories(engine))
    batches = Batches(engine, reads, Conditional(engine, delete_several=False), most_entries)
    bundles = Bundles(engine, Transactions(engine, reads, planning, most_entries), batches)
    return Running(clinic, engine, drafts, bundles)


def call(
    interaction: Interaction,
    type: str | None = "Patient",
    id: str | None = None,
    principal: Principal = SYSTEM,
    version: int | None = None,
) -> Call:
    return Call(interaction, principal, NOW, type, id, version)


def holder(*scopes: str, patient: str | None = None) -> Principal:
    """No role limits the scopes."""
    return Principal("somebody", "client", "issuer", "jti", tuple(scopes), patient, role="system")


def patient(id: str | None = None, family: str = "Chalmers") -> Json:
    found: Json = {"resourceType": "Patient", "name": [{"family": family}]}
    return {**found, "id": id} if id else found


def bundle(*entries: Json, type: str = "transaction") -> Json:
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


def entry(method: str, url: str, resource: Json | None = None, full_url: str = "") -> Json:
    found: Json = {"request": {"method": method, "url": url}}
    if resource is not None:
        found["resource"] = resource
    return {**found, "fullUrl": full_url} if full_url else found


def families(stored: Sequence[Json]) -> list[str]:
    return [one["name"][0]["family"] for one in stored]
