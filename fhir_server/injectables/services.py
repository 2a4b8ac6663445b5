"""All that is done about injectables, wired together for one clinic."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo

from fhir_server.consent.inquiry import Inquiry
from fhir_server.engine.bundles import Bundles
from fhir_server.engine.interactions import Engine
from fhir_server.injectables.checking import Checking
from fhir_server.injectables.lots import Lots
from fhir_server.injectables.policy import Policy
from fhir_server.injectables.recall import Recalls
from fhir_server.injectables.treatment import Treatments


@dataclass(frozen=True, slots=True)
class Injectables:
    lots: Lots
    recalls: Recalls
    checking: Checking


def injectables(
    engine: Engine, bundles: Bundles, inquiry: Inquiry, policies: Mapping[str, Policy], zone: tzinfo
) -> Injectables:
    lots = Lots(engine)
    checking = Checking(engine, Treatments(engine), inquiry, policies, zone)
    return Injectables(lots, Recalls(engine, bundles, lots), checking)
