"""The privacy officer's desk as one value: requests opened, handled, carried out, and restrictions lifted.

Row B6 of the obligations.
"""

from dataclasses import dataclass
from datetime import tzinfo

from fhir_server.engine.call import Principal
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.identity import NewId
from fhir_server.privacy.clocks import Rules
from fhir_server.privacy.erasure import Erasures
from fhir_server.privacy.fulfilling import Fulfilling
from fhir_server.privacy.handling import Handling
from fhir_server.privacy.lifting import Lifting
from fhir_server.privacy.receipt import Scribe
from fhir_server.privacy.recipients import Disclosures


@dataclass(frozen=True, slots=True)
class RightsDesk:
    handling: Handling
    fulfilling: Fulfilling
    lifting: Lifting


def rights_desk(
    engine: Engine, erasures: Erasures, scribe: Scribe, rules: Rules, zone: tzinfo, server: Principal, new_id: NewId
) -> RightsDesk:
    return RightsDesk(
        Handling(engine, rules, new_id, zone),
        Fulfilling(engine, erasures, Disclosures(engine), scribe, new_id, server, zone),
        Lifting(engine, server, zone),
    )
