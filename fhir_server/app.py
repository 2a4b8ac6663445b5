"""Composition root: what exists, and in which order concerns apply. The tuple of steps is the security policy.

Architecture section 2.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, timedelta

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fhir_server.accountability import practised, require_region
from fhir_server.api.dispatch import Dispatch
from fhir_server.api.error_handlers import fhir_error, http_exception
from fhir_server.api.health import health
from fhir_server.api.log_routes import log_routes
from fhir_server.api.metrics import Metrics
from fhir_server.api.middleware import Envelope
from fhir_server.api.published import published_routes
from fhir_server.api.smart_routes import smart_routes
from fhir_server.audit.anchoring import Anchoring
from fhir_server.audit.recorder import Recorder
from fhir_server.chosen import (
    THE_SERVER,
    anchors,
    clinic_of,
    limits,
    opened_root_key,
    organization,
    retention,
)
from fhir_server.clinic import Clinic
from fhir_server.consent.elsewhere import Elsewhere
from fhir_server.consent.gate import Gate
from fhir_server.consent.law import law_of
from fhir_server.consent.lifecycle import Lifecycle
from fhir_server.consent.paper import Paper
from fhir_server.consent.standing import Standing
from fhir_server.crypto.jws import public_jwk
from fhir_server.crypto.randomness import RandomBytes
from fhir_server.engine.defining import Defining
from fhir_server.engine.drafts import Drafts
from fhir_server.engine.existence import Existence
from fhir_server.engine.interactions import Engine
from fhir_server.engine.pipeline import Pipeline
from fhir_server.engine.records import Records
from fhir_server.entrance import Inside, open_entrance
from fhir_server.fhir.definitions import served_types
from fhir_server.fhir.shapes import shapes
from fhir_server.kernel.clock import Clock, SystemClock
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.identity import random_id
from fhir_server.media.capturing import Captured
from fhir_server.media.intake import Intake
from fhir_server.media.ordering import Ordering
from fhir_server.media.photos_within import may_carry_photo, shows_photo
from fhir_server.media.security_context import SecurityContext
from fhir_server.media.taking import Taking
from fhir_server.notifying import way_out
from fhir_server.offering import Core, offering
from fhir_server.privacy.breaches.documenting import Documenting
from fhir_server.privacy.clocks import rules_of
from fhir_server.privacy.deadlines import Deadlines
from fhir_server.privacy.desk import Desk
from fhir_server.privacy.filing import Filing
from fhir_server.privacy.flagging import Answers
from fhir_server.privacy.imports import Imports
from fhir_server.privacy.keeping import Keeping
from fhir_server.privacy.publications import Publications
from fhir_server.privacy.register.registering import Registering
from fhir_server.privacy.register.trained import Trained
from fhir_server.privacy.templates import FaceTemplates
from fhir_server.privacy.withdrawal import Withdrawal
from fhir_server.professions.numbering import Numbering
from fhir_server.search.registry import parameters_of
from fhir_server.settings import Settings, transport
from fhir_server.smart.access import Access, may_export, may_name
from fhir_server.smart.bearer import Bearer
from fhir_server.smart.break_glass import GlassReviews
from fhir_server.smart.masks import Masks
from fhir_server.smart.oidc.signing_keys import SigningKeys
from fhir_server.smart.ties import RecordedTies, TiePolicy
from fhir_server.smart.token import Tokens
from fhir_server.spoken import speaking, warn_of_old_rows, zone_of
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
    base = f"{settings.base_url}/fhir"
    async with AsyncExitStack() as stack:
        provider = await opened_root_key(settings)
        store = await stack.enter_async_context(
            open_store(
                settings.mongo_uri,
                settings.database,
                base,
                provider,
                clock,
                RandomBytes(),
                most_remembered=settings.remembered_patients,
            )
        )
        keyring = store.keyring
        speech = speaking(base, settings, store.layouts)
        law = law_of(settings.jurisdiction, settings.implicit_policy)
        standing = Standing(store.resources, store.heads, law, zone_of(settings) or UTC, settings.remembered_patients)
        ties = RecordedTies(
            store.resources, TiePolicy(timedelta(days=settings.tie_days), settings.self_made_ties), base
        )
        elsewhere = Elsewhere(store.resources, base, may_carry_photo, shows_photo)
        access, gate = Access(base, ties), Gate(standing, store.resources, base, elsewhere, ties)
        taking = Taking(store.photos, speech().zone or UTC)
        faces = FaceTemplates(standing, store.resources, THE_SERVER)
        hooks = way_out(loopback=settings.notify_loopback)
        steps = Pipeline(
            (
                access,  # who may try, in which role, and whom it reaches
                Existence(  # what it refers to is there
                    store.resources, base, may_name, THE_SERVER, refuse_missing=settings.refuse_missing_references
                ),
                *([Trained(store.resources)] if settings.require_training else []),  # photographs: who may handle them
                gate,  # on what legal basis
                faces,  # a template of one is biometric data: assessed, consented to, for back ends alone
                Lifecycle(store.resources, standing),  # a newer signature takes the place of the older
                SecurityContext(
                    store.resources, Pipeline((access, gate, faces)), base
                ),  # a Binary as what it belongs to
                Owned(  # a subscription tells what its writer may see, and is its writer's own
                    THE_SERVER, access, store.resources, speech, may_export, hooks.may
                ),
                GlassReviews(),  # a broken glass is reviewed, and not by oneself
                Masks(),  # what the role does not see is taken out
                Captured(store.resources),  # a device brings photographs on what its session was decided on
                Intake(taking),  # photos leave the JSON, sealed
                Defining(),  # a composite search parameter can be searched by
                Ordering(store.resources),  # before a treatment is before it
                Deadlines(rules_of(settings.jurisdiction), zone_of(settings) or UTC),  # a request has its last day
                Paper(),  # a scan says where the original lies
                Filing(THE_SERVER),  # receipts are the server's own, and stay
                Registering(retention(settings)),  # the register says what the law asks of it
                Numbering(practised(settings)),  # a number of a professional body has that body's form
                Documenting(),  # a breach has the law's clock, and stays on record
                Keeping(THE_SERVER),  # nor do photos and consents go by a deletion
                Imports(random_id),  # what came without evidence of a consent says so
                Publications(standing, store.resources, THE_SERVER),  # nothing is published without a basis
                Answers(),  # what answers mean for the clinic is flagged
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
        core = Core(settings, store, engine, clock, law, standing, gate, taking, hooks, anchoring, tokens, bearer)
        offered = await offering(core)
        desk = Desk(engine, offered.surface.signing, THE_SERVER, clock)
        inside = Inside(
            store, engine, tokens, signing_keys, bearer, THE_SERVER, clock, desk, offered.surface.photos.sharing
        )
        entrance = await open_entrance(stack, settings, inside)
        receipts = public_jwk(offered.receipts, "receipts")
        yield Clinic(
            settings,
            store,
            keyring,
            engine,
            offered.surface,
            entrance.gateway,
            tokens,
            offered.worker,
            entrance.door,
            entrance.pages,
            receipts,
            offered.notifier,
            anchoring,
        )


def compile_definitions() -> None:
    """At a server's start, before it forks, and not under the first caller. A command needs few of them."""
    shapes()
    for type in served_types():
        parameters_of(type)


def build_app(settings: Settings, clock: Clock | None = None, metrics_port: int = 0) -> FastAPI:
    """The ASGI application; the clinic opens when it starts and closes when it ends. `metrics_port`: 0 for none."""
    require_region(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        compile_definitions()
        async with open_clinic(settings, clock) as clinic:
            await warn_of_old_rows(settings, clinic.store.reindexing)
            app.state.clinic = clinic
            app.state.fhir = Dispatch(clinic.surface, clinic.gateway.documents)
            app.state.gateway = clinic.gateway
            yield

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
        metrics=Metrics(metrics_port, (clock or SystemClock()).now()),
        fhir=lambda: getattr(app.state, "fhir", None),
        cors=lambda: getattr(getattr(app.state, "gateway", None), "cors", None),
    )
    return app


async def _page(request: Request) -> Response:
    """A page of sign-in; `ui` knows which."""
    clinic: Clinic = request.app.state.clinic
    return await clinic.pages.answer(request)
