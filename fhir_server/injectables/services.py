"""All that is done about injectables, wired together for one clinic."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo

from fhir_server.audit.proofs import Proofs
from fhir_server.consent.inquiry import Inquiry
from fhir_server.consent.releasing import Releasing
from fhir_server.engine.bundles import Bundles
from fhir_server.engine.interactions import Engine
from fhir_server.injectables.checking import Checking
from fhir_server.injectables.evidence import Collecting
from fhir_server.injectables.lots import Lots
from fhir_server.injectables.packs import Issuer, Packs
from fhir_server.injectables.policy import Policy
from fhir_server.injectables.professional import ProfessionalChecking
from fhir_server.injectables.recall import Recalls
from fhir_server.injectables.treatment import Treatments
from fhir_server.media.ports import PhotoVault
from fhir_server.professions.body import Bodies


@dataclass(frozen=True, slots=True)
class Injectables:
    lots: Lots
    recalls: Recalls
    checking: Checking
    professional: ProfessionalChecking
    packs: Packs


@dataclass(frozen=True, slots=True)
class Parts:
    """What of the clinic they work with."""

    bundles: Bundles
    inquiry: Inquiry
    releasing: Releasing
    photos: PhotoVault
    proofs: Proofs
    bodies: Bodies


def injectables(
    engine: Engine, parts: Parts, policies: Mapping[str, Policy], issuer: Issuer, zone: tzinfo
) -> Injectables:
    lots, treatments = Lots(engine), Treatments(engine)
    return Injectables(
        lots,
        Recalls(engine, parts.bundles, lots),
        Checking(engine, treatments, parts.inquiry, policies, zone),
        ProfessionalChecking(engine, treatments, parts.inquiry, parts.bodies, zone),
        Packs(engine, Collecting(engine, treatments, parts.releasing), parts.photos, parts.proofs, issuer),
    )
