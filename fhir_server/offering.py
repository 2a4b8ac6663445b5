"""What a clinic offers once its engine runs: the surface behind the routes, and the jobs of the worker.

Part of the composition root; the policy of the steps is in `app`.
"""

from dataclasses import dataclass
from datetime import UTC, timedelta

from fhir_server.accountability import accountability, practised
from fhir_server.api.doubts import doubts
from fhir_server.api.paging import Paging
from fhir_server.api.surface import Surface
from fhir_server.audit.access_log import AccessLog
from fhir_server.audit.anchoring import Anchoring
from fhir_server.audit.proofs import Proofs
from fhir_server.chosen import (
    THE_SERVER,
    glass_policy,
    injecting,
    retention,
    scribe,
)
from fhir_server.consent.contact import Contact
from fhir_server.consent.gate import Gate
from fhir_server.consent.inquiry import Inquiry
from fhir_server.consent.law import Law
from fhir_server.consent.releasing import Releasing
from fhir_server.consent.signing import Signing
from fhir_server.consent.standing import Standing
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.crypto.signing import Signer
from fhir_server.engine.batch import Batches
from fhir_server.engine.booking import Booking
from fhir_server.engine.bundle_plan import Planning
from fhir_server.engine.bundle_reads import BundleReads
from fhir_server.engine.bundles import Bundles
from fhir_server.engine.conditional import Conditional
from fhir_server.engine.history import Histories
from fhir_server.engine.interactions import Engine
from fhir_server.engine.transaction import Transactions
from fhir_server.engine.validation import Validation
from fhir_server.entrance import office_of
from fhir_server.export.exports import Exports
from fhir_server.export.importing import Importing
from fhir_server.export.job import RUN_EXPORT
from fhir_server.export.running import Running
from fhir_server.injectables.services import Parts
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import random_id
from fhir_server.media.delivery import Delivery
from fhir_server.media.photographs import Shares, Stores, photographs
from fhir_server.media.reassigning import FINISH_REASSIGNMENT
from fhir_server.media.taking import Taking
from fhir_server.notifying import notifying
from fhir_server.outbound.hooks import Hooks
from fhir_server.privacy.erasure import SHRED
from fhir_server.privacy.expiry import Expiry
from fhir_server.privacy.finality import Finality
from fhir_server.privacy.flagging import FLAG_ANSWERS, Flagging
from fhir_server.privacy.kept_by_law import KeptByLaw
from fhir_server.privacy.merging.finishing import FINISH_MERGE
from fhir_server.privacy.originals import Bounds, Originals
from fhir_server.privacy.recipients import Disclosures
from fhir_server.privacy.reconsider import Reconsider
from fhir_server.privacy.register.reviewing import Reviewing
from fhir_server.privacy.shredding import Shredding
from fhir_server.privacy.withdrawal import RECONSIDER_PHOTOS
from fhir_server.privacy.within import Within
from fhir_server.privacy.worker import Worker
from fhir_server.requested import requested
from fhir_server.settings import Settings
from fhir_server.smart.access import may_export, reads_type
from fhir_server.smart.bearer import Bearer
from fhir_server.smart.break_glass import Glass
from fhir_server.smart.capture import CaptureSessions
from fhir_server.smart.possession import Possession
from fhir_server.smart.token import Tokens
from fhir_server.spoken import saying, zone_of
from fhir_server.store.clinic import ClinicStore
from fhir_server.subscriptions.notifier import Notifier


@dataclass(frozen=True, slots=True)
class Core:
    """What all of it is built on. Who asks, and by what leave, is decided before: in the engine's steps."""

    settings: Settings
    store: ClinicStore
    engine: Engine
    clock: Clock
    law: Law
    standing: Standing
    gate: Gate
    taking: Taking
    hooks: Hooks
    anchoring: Anchoring
    tokens: Tokens
    bearer: Bearer


@dataclass(frozen=True, slots=True)
class Offering:
    """`receipts`: the public key of what the server signs."""

    surface: Surface
    worker: Worker
    notifier: Notifier
    receipts: bytes


async def offering(core: Core) -> Offering:
    settings, store, engine, clock = core.settings, core.store, core.engine, core.clock
    base, zone, rules = f"{settings.base_url}/fhir", zone_of(settings) or UTC, retention(settings)
    several = settings.conditional_delete_several
    conditional = Conditional(engine, delete_several=several)
    histories = Histories(engine, settings.search_candidates)
    reads = BundleReads(engine, histories)
    planning = Planning(engine, random_id, clock, delete_several=several)
    bundles = Bundles(
        engine,
        Transactions(engine, reads, planning, settings.most_entries),
        Batches(engine, reads, conditional, settings.most_entries),
    )
    stores = Stores(store.photos, store.uploads, store.resources, store.events.index)
    watch = Originals(
        engine, store.openings, Bounds(settings.originals_told, settings.originals_stopped), clock, THE_SERVER
    )
    delivery = Delivery(engine, store.photos, clock, reads_type, store.heads, store.grant_states, watch)
    shares = Shares(delivery, Contact(core.standing), await store.keyring.named("shares", KeyClass.CURSOR))
    photos = photographs(engine, core.taking, stores, shares, THE_SERVER, random_id)
    receipt_key = await store.keyring.named("receipts", KeyClass.SIGNING)
    public = Signer(receipt_key).public
    signed_by = await scribe(store.keyring, settings.database, receipt_key, public)
    shown = accountability(
        settings, store, engine, core.anchoring.assurance, rules, THE_SERVER, (receipt_key, public), clock
    )
    told = notifying(store, engine, core.hooks, THE_SERVER, settings.base_url, clock)
    glass = glass_policy(settings)
    inquiry = Inquiry(engine, core.law, glass.roles, zone)
    proofs = Proofs(engine, store.log, store.sequencer.key, core.anchoring.assurance)
    parts = Parts(bundles, inquiry, Releasing(core.standing, core.gate), store.photos, proofs, practised(settings))
    surface = Surface(
        engine=engine,
        bundles=bundles,
        booking=Booking(engine, random_id),
        conditional=conditional,
        histories=histories,
        validation=Validation(engine, doubts),
        signing=Signing(engine, THE_SERVER, random_id, RandomBytes(), office_of(settings, core.law)),
        inquiry=inquiry,
        glass=Glass(engine, random_id, glass),
        rights=await requested(settings, engine, store, delivery, signed_by, rules, THE_SERVER, clock),
        delivery=delivery,
        exports=Exports(engine, store.exports, clock, random_id, base, may_export),
        importing=Importing(engine, may_export),
        access_log=AccessLog(engine),
        proofs=proofs,
        photos=photos,
        injectables=injecting(settings, engine, parts, receipt_key, zone),
        events=told.events,
        accounts=shown,
        possession=Possession(core.bearer, store.handles),
        captures=CaptureSessions(core.tokens, store.grants, random_id),
        paging=Paging(
            await store.keyring.named("page-links", KeyClass.CURSOR), timedelta(seconds=settings.page_lifetime)
        ),
        clock=clock,
        base=base,
        most_body=settings.max_body_bytes,
        capability=saying(base, clock, store.layouts, delete_several=several),
    )
    law_on_keeping = KeptByLaw(engine, store.resources, store.holdings, rules)
    within = Within(engine, core.standing, store.holdings, store.photos, clock, THE_SERVER, law_on_keeping)
    reconsider = Reconsider(engine, store.resources, core.standing, store.photos, signed_by, clock, THE_SERVER, within)
    worker = Worker(
        store.tasks,
        {
            RECONSIDER_PHOTOS: reconsider,
            FLAG_ANSWERS: Flagging(engine, core.standing, signed_by, clock, THE_SERVER),
            SHRED: Shredding(engine, store.holdings, store.photos, Disclosures(engine), signed_by, clock, THE_SERVER),
            RUN_EXPORT: Running(engine, store.exports, clock, random_id),
            FINISH_REASSIGNMENT: photos.reassigning.finish,
            FINISH_MERGE: surface.rights.finishing,
        },
        (
            store.events.index,
            core.anchoring.publish,
            store.photos.sweep,
            store.attachments.sweep,
            store.doorway.sweep,
            Finality(engine, store.rotations, signed_by, clock, THE_SERVER),
            Expiry(engine, THE_SERVER, clock, zone),
            surface.rights.links.sweep,
            Reviewing(engine, THE_SERVER, clock, zone),
        ),
        settings.worker_interval,
    )
    return Offering(surface, worker, told.notifier, public)
