"""What patients may ask for, put together: requests and their answers, a copy of the record, a summary.

GDPR Art. 12, 15 to 21. Part of the composition root.
"""

from datetime import UTC

from fhir_server.audit.access_log import AccessLog
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.engine.call import Principal
from fhir_server.engine.interactions import Engine
from fhir_server.export.summaries import Summaries
from fhir_server.export.summary import Maker
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import random_id, random_uuid
from fhir_server.media.delivery import Delivery
from fhir_server.privacy.clocks import rules_of
from fhir_server.privacy.copies import Copies
from fhir_server.privacy.erasure import Erasures
from fhir_server.privacy.fulfilling import Fulfilling
from fhir_server.privacy.handling import Handling
from fhir_server.privacy.lifting import Lifting
from fhir_server.privacy.merging.both import Both
from fhir_server.privacy.merging.finishing import Finishing
from fhir_server.privacy.merging.merging import Merging
from fhir_server.privacy.merging.moving import Moving
from fhir_server.privacy.merging.unmerging import Unmerging
from fhir_server.privacy.receipt import Scribe
from fhir_server.privacy.recipients import Disclosures
from fhir_server.privacy.retention import Pack
from fhir_server.privacy.services import RightsDesk
from fhir_server.privacy.shlinks.making import Ground, HealthLinks
from fhir_server.privacy.shlinks.opening import Opening as HealthOpening
from fhir_server.settings import Settings
from fhir_server.smart.access import reads_type
from fhir_server.spoken import zone_of
from fhir_server.store.clinic import ClinicStore


async def requested(
    settings: Settings,
    engine: Engine,
    store: ClinicStore,
    delivery: Delivery,
    scribe: Scribe,
    rules: Pack,
    server: Principal,
    clock: Clock,
) -> RightsDesk:
    """`rules` on how long things are kept. `server` is who acts for the server's duties."""
    base, zone = f"{settings.base_url}/fhir", zone_of(settings) or UTC
    erasures = Erasures(engine, store.holdings, store.photos, scribe, rules)
    both = Both(engine, store.heads, server)
    moving = Moving(engine, store.heads, store.mentions, store.photos, base)
    finishing = Finishing(engine, moving, store.photos, both, random_id, clock, server)
    summaries = Summaries(engine, Maker(base, settings.clinic_name, random_uuid), reads_type)
    links = await store.keyring.named("health-links", KeyClass.CURSOR)
    ground = Ground(settings.base_url, links, server, random_id, RandomBytes(), clock)
    return RightsDesk(
        erasures,
        Handling(engine, rules_of(settings.jurisdiction), random_id, zone),
        Fulfilling(engine, erasures, Disclosures(engine), scribe, random_id, server, zone),
        Lifting(engine, server, zone),
        Copies(engine, delivery, AccessLog(engine), scribe, base, settings.clinic_name),
        summaries,
        Merging(engine, both, moving, finishing, random_id),
        Unmerging(engine, both, moving, finishing, random_id),
        finishing,
        HealthLinks(engine, store.heads, summaries, store.resources, ground),
        HealthOpening(engine, store.heads, ground),
    )
