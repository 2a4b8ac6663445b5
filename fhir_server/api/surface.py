"""What the routes work with: the services of one clinic, as the composition root wired them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fhir_server.api.paging import Paging
from fhir_server.audit.access_log import AccessLog
from fhir_server.audit.proofs import Proofs
from fhir_server.consent.inquiry import Inquiry
from fhir_server.consent.signing import Signing
from fhir_server.engine.booking import Booking
from fhir_server.engine.bundles import Bundles
from fhir_server.engine.conditional import Conditional
from fhir_server.engine.history import Histories
from fhir_server.engine.interactions import Engine
from fhir_server.engine.validation import Validation
from fhir_server.export.exports import Exports
from fhir_server.export.importing import Importing
from fhir_server.injectables.services import Injectables
from fhir_server.kernel.clock import Clock
from fhir_server.media.delivery import Delivery
from fhir_server.media.photographs import Photographs
from fhir_server.privacy.accounts import Accounts
from fhir_server.privacy.services import RightsDesk
from fhir_server.smart.break_glass import Glass
from fhir_server.smart.capture import CaptureSessions
from fhir_server.smart.possession import Possession
from fhir_server.subscriptions.events import Events


@dataclass(frozen=True, slots=True)
class Surface:
    """`base` is the external FHIR base without a final slash; `most_body` bytes bound a request's body.

    `capability`: what `metadata` says, by mode.
    """

    engine: Engine
    bundles: Bundles
    booking: Booking
    conditional: Conditional
    histories: Histories
    validation: Validation
    delivery: Delivery
    glass: Glass
    rights: RightsDesk
    exports: Exports
    importing: Importing
    signing: Signing
    inquiry: Inquiry
    proofs: Proofs
    access_log: AccessLog
    photos: Photographs
    injectables: Injectables
    events: Events
    accounts: Accounts
    possession: Possession
    captures: CaptureSessions
    paging: Paging
    clock: Clock
    base: str
    most_body: int
    capability: Callable[[], Mapping[str, bytes]]
