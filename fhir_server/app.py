"""Composition root: what exists, and in which order concerns apply. The tuple of steps is the security policy.

Architecture section 2.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, timedelta
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fhir_server.accountability import accountability, require_region
from fhir_server.api.error_handlers import fhir_error, http_exception
from fhir_server.api.health import health
from fhir_server.api.log_routes import log_routes
from fhir_server.api.middleware import Envelope
from fhir_server.api.paging import Paging
from fhir_server.api.published import published_routes
from fhir_server.api.routes import Dispatch
from fhir_server.api.smart_routes import smart_routes
from fhir_server.api.surface import Surface
from fhir_server.audit.access_log import AccessLog
from fhir_server.audit.anchoring import Anchoring
from fhir_server.audit.proofs import Proofs
from fhir_server.audit.recorder import Recorder
from fhir_server.chosen import (
    THE_SERVER,
    anchors,
    clinic_of,
    glass_policy,
    injecting,
    limits,
    opened_root_key,
    organization,
    scribe,
)
from fhir_server.clinic import Clinic, ended
from fhir_server.consent.contact import Contact
from fhir_server.consent.elsewhere import Elsewhere
from fhir_server.consent.gate import Gate
from fhir_server.consent.inquiry import Inquiry
from fhir_server.consent.law import law_of
from fhir_server.consent.lifecycle import Lifecycle
from fhir_server.consent.releasing import Releasing
from fhir_server.consent.signing import Signing
from fhir_server.consent.standing import Standing
from fhir_server.crypto.jws import public_jwk
from fhir_server.crypto.keys import KeyClass
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.crypto.signing import Signer
from fhir_server.engine.batch import Batches
from fhir_server.engine.booking import Booking
from fhir_server.engine.bundle_plan import Planning
from fhir_server.engine.bundle_reads import BundleReads
from fhir_server.engine.bundles import Bundles
from fhir_server.engine.conditional import Conditional
from fhir_server.engine.drafts import Drafts
from fhir_server.engine.existence import Existence
from fhir_server.engine.history import Histories
from fhir_server.engine.interactions import Engine
from fhir_server.engine.pipeline import Pipeline
from fhir_server.engine.records import Records
from fhir_server.engine.transaction import Transactions
from fhir_server.engine.validation import Validation
from fhir_server.entrance import Inside, office_of, open_entrance
from fhir_server.export.exports import Exports
from fhir_server.export.importing import Importing
from fhir_server.export.job import RUN_EXPORT
from fhir_server.export.running import Running
from fhir_server.fhir.definitions import served_types
from fhir_server.fhir.shapes import shapes
from fhir_server.injectables.services import Parts
from fhir_server.kernel.clock import Clock, SystemClock
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.identity import random_id
from fhir_server.media.capturing import Captured
from fhir_server.media.delivery import Delivery
from fhir_server.media.intake import Intake
from fhir_server.media.photographs import Shares, Stores, photographs
from fhir_server.media.photos_within import may_carry_photo, shows_photo
from fhir_server.media.reassigning import FINISH_REASSIGNMENT
from fhir_server.media.security_context import SecurityContext
from fhir_server.media.taking import Taking
from fhir_server.notifying import notifying, way_out
from fhir_server.privacy.breaches.documenting import Documenting
from fhir_server.privacy.clocks import rules_of
from fhir_server.privacy.deadlines import Deadlines
from fhir_server.privacy.desk import Desk
from fhir_server.privacy.erasure import SHRED
from fhir_server.privacy.expiry import Expiry
from fhir_server.privacy.filing import Filing
from fhir_server.privacy.finality import Finality
from fhir_server.privacy.imports import Imports
from fhir_server.privacy.keeping import Keeping
from fhir_server.privacy.kept_by_law import KeptByLaw
from fhir_server.privacy.publications import Publications
from fhir_server.privacy.recipients import Disclosures
from fhir_server.privacy.reconsider import Reconsider
from fhir_server.privacy.register.registering import Registering
from fhir_server.privacy.register.trained import Trained
from fhir_server.privacy.retention import pack
from fhir_server.privacy.shredding import Shredding
from fhir_server.privacy.withdrawal import RECONSIDER_PHOTOS, Withdrawal
from fhir_server.privacy.worker import Worker
from fhir_server.requested import requested
from fhir_server.search.registry import parameters_of
from fhir_server.settings import Settings, transport
from fhir_server.smart.access import Access, may_export, may_name, reads_type
from fhir_server.smart.bearer import Bearer
from fhir_server.smart.break_glass import Glass, GlassReviews
from fhir_server.smart.capture import CaptureSessions
from fhir_server.smart.masks import Masks
from fhir_server.smart.oidc.signing_keys import SigningKeys
from fhir_server.smart.possession import Possession
from fhir_server.smart.ties import RecordedTies, TiePolicy
from fhir_server.smart.token import Tokens
from fhir_server.spoken import saying, speaking, warn_of_old_rows, zone_of
from fhir_server.store.clinic import open_store
from fhir_server.subscriptions.owned import Owned
from fhir_server.ui.pages import PATHS
from fhir_server.ui.static_files import FILES, static

_SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""The framework's own telemetry would put query strings, which may name somebody, into spans."""


@asynccontextmanager
async def open_clinic(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Clinic]:
    """Connect, open the keys, wire, start the flushers; and stop them again."""
    clock = clock or SystemClock()
    shapes()  # compiled at the start, not under the first caller
    for type in served_types():
        parameters_of(type)
    base = f"{settings.base_url}/fhir"
    async with AsyncExitStack() as stack:
        provider = await opened_root_key(settings)
        store = await stack.enter_async_context(
            open_store(settings.mongo_uri, settings.database, base, provider, clock, RandomBytes())
        )
        keyring = store.keyring
        speech = speaking(base, settings, store.layouts)
        law = law_of(settings.jurisdiction, settings.implicit_policy)
        standing = Standing(store.resources, store.heads, law, zone_of(settings) or UTC)
        ties = RecordedTies(
            store.resources, TiePolicy(timedelta(days=settings.tie_days), settings.self_made_ties), base
        )
        elsewhere = Elsewhere(store.resources, base, may_carry_photo, shows_photo)
        access, gate = Access(base, ties), Gate(standing, store.resources, base, elsewhere, ties)
        taking = Taking(store.photos, speech().zone or UTC)
        hooks = way_out(loopback=settings.notify_loopback)
        steps = Pipeline(
            (
                access,  # who may try, in which role, and whom it reaches
                Existence(  # what it refers to is there
                    store.resources, base, may_name, THE_SERVER, refuse_missing=settings.refuse_missing_references
                ),
                *([Trained(store.resources)] if settings.require_training else []),  # photographs: who may handle them
                gate,  # on what legal basis
                Lifecycle(store.resources, standing),  # a newer signature takes the place of the older
                SecurityContext(store.resources, Pipeline((access, gate)), base),  # a Binary as what it belongs to
                Owned(  # a subscription tells what its writer may see, and is its writer's own
                    THE_SERVER, access, store.resources, speech, may_export, hooks.may
                ),
                GlassReviews(),  # a broken glass is reviewed, and not by oneself
                Masks(),  # what the role does not see is taken out
                Captured(store.resources),  # a device brings photographs on what its session was decided on
                Intake(taking),  # photos leave the JSON, sealed
                Deadlines(rules_of(settings.jurisdiction), zone_of(settings) or UTC),  # a request has its last day
                Filing(THE_SERVER),  # receipts are the server's own, and stay
                Registering(pack(settings.jurisdiction)),  # the register says what the law asks of it
                Documenting(),  # a breach has the law's clock, and stays on record
                Keeping(THE_SERVER),  # nor do photos and consents go by a deletion
                Imports(random_id),  # what came without evidence of a consent says so
                Publications(standing, store.resources, THE_SERVER),  # nothing is published without a basis
                Withdrawal(random_id),  # a withdrawn consent queues a new decision on the photos
                Records(),  # a patient's records are labelled, and can be read
                Recorder(store.audit, base, clinic_of(settings)),  # nothing happens unrecorded
            )
        )
        drafts = Drafts(store.resources, steps, random_id, base, THE_SERVER)
        engine = Engine(store.resources, steps, drafts, speech, limits(settings))
        anchoring = Anchoring(store.log, anchors(settings, clock), store.sightings, clock)
        signing_keys = await stack.enter_async_context(SigningKeys(store.signing_keys, clock).kept_fresh())
        tokens = Tokens(signing_keys, settings.base_url, base, random_id, organization(settings))
        bearer = Bearer(tokens)
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
        delivery = Delivery(engine, store.photos, clock, reads_type, store.grant_states)
        shares = Shares(delivery, Contact(standing), await keyring.named("shares", KeyClass.CURSOR))
        photos = photographs(engine, taking, stores, shares, THE_SERVER, random_id)
        receipt_key = await keyring.named("receipts", KeyClass.SIGNING)
        public = Signer(receipt_key).public
        signed_by = await scribe(keyring, settings.database, receipt_key, public)
        shown = accountability(settings, store, engine, anchoring.assurance, THE_SERVER, (receipt_key, public))
        told = notifying(store, engine, hooks, THE_SERVER, settings.base_url, clock)
        inquiry = Inquiry(engine, law)
        proofs = Proofs(engine, store.log, store.sequencer.key, anchoring.assurance)
        parts = Parts(bundles, inquiry, Releasing(standing, gate), store.photos, proofs)
        surface = Surface(
            engine=engine,
            bundles=bundles,
            booking=Booking(engine, random_id),
            conditional=conditional,
            histories=histories,
            validation=Validation(engine),
            signing=Signing(engine, THE_SERVER, random_id, RandomBytes(), office_of(settings, law)),
            inquiry=inquiry,
            glass=Glass(engine, random_id, glass_policy(settings)),
            rights=requested(settings, engine, store, delivery, signed_by, THE_SERVER),
            delivery=delivery,
            exports=Exports(engine, store.exports, clock, random_id, base, may_export),
            importing=Importing(engine, may_export),
            access_log=AccessLog(engine),
            proofs=proofs,
            photos=photos,
            injectables=injecting(settings, engine, parts, receipt_key, zone_of(settings) or UTC),
            events=told.events,
            accounts=shown,
            possession=Possession(bearer, store.handles),
            captures=CaptureSessions(tokens, store.grants, random_id),
            paging=Paging(
                await keyring.named("page-links", KeyClass.CURSOR), timedelta(seconds=settings.page_lifetime)
            ),
            clock=clock,
            base=base,
            most_body=settings.max_body_bytes,
            capability=saying(base, clock, store.layouts, delete_several=several),
        )
        law_on_keeping = KeptByLaw(engine, store.resources, store.holdings, pack(settings.jurisdiction))
        reconsider = Reconsider(
            engine, store.resources, standing, store.photos, signed_by, clock, THE_SERVER, law_on_keeping
        )
        worker = Worker(
            store.tasks,
            {
                RECONSIDER_PHOTOS: reconsider,
                SHRED: Shredding(
                    engine, store.holdings, store.photos, Disclosures(engine), signed_by, clock, THE_SERVER
                ),
                RUN_EXPORT: Running(engine, store.exports, clock, random_id),
                FINISH_REASSIGNMENT: photos.reassigning.finish,
            },
            (
                store.events.index,
                anchoring.publish,
                store.photos.sweep,
                store.attachments.sweep,
                store.doorway.sweep,
                Finality(engine, store.rotations, signed_by, clock, THE_SERVER),
                Expiry(engine, THE_SERVER, clock, zone_of(settings) or UTC),
            ),
            settings.worker_interval,
        )
        desk = Desk(engine, surface.signing, THE_SERVER, clock)
        inside = Inside(store, engine, tokens, signing_keys, bearer, THE_SERVER, clock, desk, photos.sharing)
        entrance = await open_entrance(stack, settings, inside)
        receipts = public_jwk(public, "receipts")
        yield Clinic(
            settings,
            store,
            keyring,
            engine,
            surface,
            entrance.gateway,
            tokens,
            worker,
            entrance.door,
            entrance.pages,
            receipts,
            told.notifier,
            anchoring,
        )


def build_app(
    settings: Settings, clock: Clock | None = None, beside: Callable[[Clinic], Coroutine[Any, Any, None]] | None = None
) -> FastAPI:
    """The ASGI application; the clinic opens when it starts and closes when it ends. `beside` runs in between."""
    require_region(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_clinic(settings, clock) as clinic:
            await warn_of_old_rows(settings, clinic.store.reindexing)
            app.state.clinic = clinic
            app.state.fhir = Dispatch(clinic.surface, clinic.gateway.documents)
            app.state.gateway = clinic.gateway
            task = asyncio.create_task(beside(clinic)) if beside else None
            yield
            if task:
                await ended(task)

    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=_SILENT, lifespan=lifespan
    )
    app.add_route("/healthz", health)
    for path in PATHS:
        app.add_route(path, _page, methods=["GET", "POST"])
    for name in FILES:
        app.add_route(f"/auth/static/{name}", static)
    app.add_exception_handler(FhirError, fhir_error)
    app.add_exception_handler(HTTPException, http_exception)
    app.router.routes.extend([*smart_routes(), *log_routes(), *published_routes()])
    app.add_middleware(
        Envelope,
        hsts=transport(settings).hsts,
        fhir=lambda: getattr(app.state, "fhir", None),
        cors=lambda: getattr(getattr(app.state, "gateway", None), "cors", None),
    )
    return app


async def _page(request: Request) -> Response:
    """A page of sign-in; `ui` knows which."""
    clinic: Clinic = request.app.state.clinic
    return await clinic.pages.answer(request)
