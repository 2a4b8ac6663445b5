"""What patients may ask for, as one value: requests opened, handled, carried out and lifted; copies and summaries.

Row B6 of the obligations.
"""

from dataclasses import dataclass

from fhir_server.export.summaries import Summaries
from fhir_server.privacy.copies import Copies
from fhir_server.privacy.erasure import Erasures
from fhir_server.privacy.fulfilling import Fulfilling
from fhir_server.privacy.handling import Handling
from fhir_server.privacy.lifting import Lifting
from fhir_server.privacy.merging.finishing import Finishing
from fhir_server.privacy.merging.merging import Merging
from fhir_server.privacy.merging.unmerging import Unmerging
from fhir_server.privacy.shlinks.making import HealthLinks
from fhir_server.privacy.shlinks.opening import Opening


@dataclass(frozen=True, slots=True)
class RightsDesk:
    erasures: Erasures
    handling: Handling
    fulfilling: Fulfilling
    lifting: Lifting
    copies: Copies
    summaries: Summaries
    merging: Merging
    unmerging: Unmerging
    finishing: Finishing
    links: HealthLinks
    opening: Opening
