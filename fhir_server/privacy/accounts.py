"""What a clinic shows of itself, as services: the report, the regulator's pack, the operations on a breach.

GDPR Art. 5(2).
"""

from dataclasses import dataclass

from fhir_server.privacy.breaches.desk import BreachDesk
from fhir_server.privacy.register.regulator import Regulator
from fhir_server.privacy.register.surveying import Surveying


@dataclass(frozen=True, slots=True)
class Accounts:
    surveying: Surveying
    regulator: Regulator
    breaches: BreachDesk
