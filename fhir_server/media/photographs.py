"""All that is done with photos besides reading and writing their Media, wired together for one clinic."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fhir_server.engine.call import Principal
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.identity import NewId
from fhir_server.media.apart import opened_apart
from fhir_server.media.capturing import Capturing
from fhir_server.media.comparing import Comparing
from fhir_server.media.delivery import Delivery
from fhir_server.media.ports import Contact, PhotoVault, UploadVault, Versions
from fhir_server.media.proposing import Proposing
from fhir_server.media.reassigning import Reassigning
from fhir_server.media.renditions import Renditions
from fhir_server.media.sharing import Sharing
from fhir_server.media.taking import Taking
from fhir_server.media.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Stores:
    """Where photos lie. `index` brings the index of the log up to date."""

    photos: PhotoVault
    uploads: UploadVault
    versions: Versions
    index: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Shares:
    """How photos leave for their patients. `secret` is the clinic's key of links and codes."""

    delivery: Delivery
    contact: Contact
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Photographs:
    uploads: Uploads
    renditions: Renditions
    proposing: Proposing
    comparing: Comparing
    reassigning: Reassigning
    sharing: Sharing
    capturing: Capturing


def photographs(
    engine: Engine, taking: Taking, stores: Stores, shares: Shares, server: Principal, new_id: NewId
) -> Photographs:
    """`server` does what follows from a call and is not asked for by it."""
    renditions = Renditions(engine, stores.photos, server, new_id, opened_apart)
    return Photographs(
        Uploads(engine, stores.uploads, stores.photos, taking),
        renditions,
        Proposing(engine, renditions, opened_apart),
        Comparing(engine, renditions),
        Reassigning(engine, stores.photos, stores.versions, server, new_id, stores.index),
        Sharing(engine, shares.delivery, shares.contact, server, new_id, shares.secret),
        Capturing(engine, new_id),
    )
