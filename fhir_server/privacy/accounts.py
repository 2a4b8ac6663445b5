"""What a clinic shows of itself, as services: the report, the regulator's pack, the operations on a breach, everything.

GDPR Art. 5(2).
"""

from dataclasses import dataclass

from fhir_server.privacy.breaches.desk import BreachDesk
from fhir_server.privacy.register.regulator import Regulator
from fhir_server.privacy.register.surveying import Surveying
from fhir_server.privacy.reversibility.exporting import Reversibility


@dataclass(frozen=True, slots=True)
class Accounts:
    surveying: Surveying
    regulator: Regulator
    breaches: BreachDesk
    reversibility: Reversibility
