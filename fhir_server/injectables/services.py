"""All that is done about injectables, wired together for one clinic."""

from dataclasses import dataclass

from fhir_server.engine.bundles import Bundles
from fhir_server.engine.interactions import Engine
from fhir_server.injectables.lots import Lots
from fhir_server.injectables.recall import Recalls


@dataclass(frozen=True, slots=True)
class Injectables:
    lots: Lots
    recalls: Recalls


def injectables(engine: Engine, bundles: Bundles) -> Injectables:
    lots = Lots(engine)
    return Injectables(lots, Recalls(engine, bundles, lots))
