"""One treatment with what belongs to it: the Procedure, what was used and given, its notes.

Requirements B12, T49. What belongs to a Procedure names it (`partOf`), is named by it, or is of its encounter alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.interactions import Engine
from fhir_server.engine.stored import Stored
from fhir_server.injectables.gathering import gathered, opened
from fhir_server.injectables.products import Product, contained, product_of, referred
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json
from fhir_server.media.protocol import codes

_NOTES = ("ClinicalImpression", "Composition", "DocumentReference")
_GIVEN = "MedicationAdministration"
INJECTABLE = "urn:aesthetic-fhir-server:procedure-category|injectable"


@dataclass(frozen=True, slots=True)
class Treatment:
    """`given`: the administrations; `articles`: the Medications and Devices that were used. `patient` is an id.

    `withheld`: what belongs to it and this caller is not shown.
    """

    procedure: Stored
    patient: str
    given: Sequence[Stored] = ()
    articles: Sequence[Stored] = ()
    notes: Sequence[Stored] = ()
    withheld: frozenset[ResourceKey] = frozenset()

    @property
    def regions(self) -> tuple[frozenset[str], ...]:
        """Of each treated region its codes."""
        found = (frozenset(codes(one)) for one in self.procedure.resource.get("bodySite", []))
        return tuple(dict.fromkeys(one for one in found if one))

    @property
    def products(self) -> tuple[Product, ...]:
        inside = [product for one in (self.procedure, *self.given) for product in contained(one.resource, str(one.key))]
        return (*inside, *(product_of(one.resource, str(one.key)) for one in self.articles))


class Treatments:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def read(self, call: Call, id: str) -> Treatment:
        """As the caller may see it; the Procedure is recorded as read. Raises UnprocessableError without a patient."""
        reading = replace(call, interaction=Interaction.READ, type="Procedure", id=id, operation=None)
        procedure = await self._engine.read(reading)
        subject = parse_reference(str(procedure.resource.get("subject", {}).get("reference", "")))
        if subject is None or subject.type != "Patient":
            raise UnprocessableError("The Procedure is of no patient of this server.", expression="Procedure.subject")
        encounter = str(procedure.resource.get("encounter", {}).get("reference", ""))
        mine = (("patient", str(subject)),)
        given = await gathered(self._engine, call, _GIVEN, mine, lambda one: belongs(one, procedure))
        used = [key for one in (procedure, *given.found) for key in sorted(referred(_uses(one.resource)))]
        articles = await opened(self._engine, call, used)
        noting = _NOTES if parse_reference(encounter) else ()
        notes = [await gathered(self._engine, call, type, (*mine, ("encounter", encounter))) for type in noting]
        notes.append(await opened(self._engine, call, _reports(procedure.resource)))
        told = {one.key: one for each in notes for one in each.found}
        withheld = given.withheld.union(articles.withheld, *(each.withheld for each in notes))
        return Treatment(procedure, subject.id, given.found, articles.found, tuple(told.values()), withheld)


def coded(procedure: Json) -> frozenset[str]:
    """What a Procedure is coded with, as its category or itself: `system|code`."""
    concepts = (procedure.get("category", {}), procedure.get("code", {}))
    return frozenset(
        f"{one.get('system', '')}|{one.get('code', '')}" for each in concepts for one in each.get("coding", [])
    )


def is_injectable(treatment: Treatment) -> bool:
    return INJECTABLE in coded(treatment.procedure.resource) or bool(treatment.products)


def belongs(stored: Stored, procedure: Stored) -> bool:
    """What names Procedures by `partOf` belongs to these; else what is of the same encounter and of no other region."""
    resource, whole = stored.resource, procedure.resource
    if named := resource.get("partOf"):
        return str(procedure.key) in {one.get("reference") for one in named}
    of = (resource.get("encounter") or resource.get("context") or {}).get("reference")
    if of is None or of != whole.get("encounter", {}).get("reference"):
        return False
    site = set(codes(resource.get("bodySite") or resource.get("dosage", {}).get("site")))
    treated = {code for one in whole.get("bodySite", []) for code in codes(one)}
    return not site or not treated or bool(site & treated)


def _uses(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if name != "performer"}


def _reports(procedure: Json) -> list[ResourceKey]:
    found = (parse_reference(str(one.get("reference", ""))) for one in procedure.get("report", []))
    return [key for key in found if key is not None and key.type in {*_NOTES, "DiagnosticReport"}]
