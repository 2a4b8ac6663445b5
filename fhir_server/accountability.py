"""The register, breaches and the regulator's pack, put together over what the server knows of itself.

GDPR Art. 5(2). Part of the composition root.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from fhir_server.crypto.jws import sign_jws
from fhir_server.engine.call import Principal
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import random_id
from fhir_server.privacy.accounts import Accounts
from fhir_server.privacy.authorities import authority
from fhir_server.privacy.breaches.desk import BreachDesk
from fhir_server.privacy.breaches.reach import Reach
from fhir_server.privacy.premises import TREATING_TIES, Log, Measure, Recipient
from fhir_server.privacy.register.files import PACK_TYPE
from fhir_server.privacy.register.ledger import Ledger
from fhir_server.privacy.register.regulator import Regulator, Sealing
from fhir_server.privacy.register.surveying import Law, Surveying
from fhir_server.privacy.retention import Pack
from fhir_server.privacy.reversibility.exporting import House, Reversibility
from fhir_server.privacy.reversibility.members import ARCHIVE_TYPE
from fhir_server.professions.body import Bodies, BodyError, bodies
from fhir_server.search.tree import Query
from fhir_server.settings import Settings
from fhir_server.smart.clients.client import Client
from fhir_server.smart.roles import SYSTEM, Tie, roles
from fhir_server.smart.scopes import parse_all
from fhir_server.store.clinic import ClinicStore
from fhir_server.variables import PREFIX, SettingsError

_MOST_SUBSCRIPTIONS = 1_000
_PERSON = ("user/*.rs", "user/AuditEvent.rs")


def require_region(settings: Settings) -> None:
    """Row S98. Raises SettingsError for a region where the jurisdiction does not let data be."""
    allowed = authority(settings.jurisdiction).regions
    if settings.region and settings.region not in allowed:
        raise SettingsError(f"{PREFIX}REGION must be one of {', '.join(sorted(allowed))}.")


def practised(settings: Settings) -> Bodies:
    """The professional bodies whose rules are here. Raises SettingsError for a file that is none."""
    try:
        return bodies(settings.professional_bodies)
    except BodyError as error:
        raise SettingsError(f"{PREFIX}PROFESSIONAL_BODIES: {error}") from None


def accountability(
    settings: Settings,
    store: ClinicStore,
    engine: Engine,
    assurance: Callable[[], Awaitable[str]],
    rules: Pack,
    server: Principal,
    keys: tuple[bytes, bytes],
    clock: Clock,
) -> Accounts:
    """`rules` on how long things are kept; `keys`: secret and public, with which receipts are signed."""
    require_region(settings)
    premises = Here(settings, store, engine, assurance, clock)
    told = authority(settings.jurisdiction)
    ledger = Ledger(engine, premises, rules)
    clinic = settings.organization_name or settings.clinic_name
    law = Law(clinic, settings.region, rules, told, settings.eu_provider_required, practised(settings))
    surveying = Surveying(engine, ledger, premises, law, server)
    sealing = Sealing(clinic, lambda told: _signed(told, keys))
    return Accounts(
        surveying,
        Regulator(engine, ledger, surveying, premises, rules, sealing),
        BreachDesk(engine, Reach(engine, premises, store.holdings), told, server),
        Reversibility(
            engine,
            store.everything,
            random_id,
            House(clinic, f"{settings.base_url}/fhir", lambda told: sign_jws(told, *keys, "receipts", ARCHIVE_TYPE)),
        ),
    )


class Here:
    """What this server knows of itself, as privacy.premises.Premises asks."""

    def __init__(
        self,
        settings: Settings,
        store: ClinicStore,
        engine: Engine,
        assurance: Callable[[], Awaitable[str]],
        clock: Clock,
    ) -> None:
        self._settings, self._store, self._engine, self._assurance = settings, store, engine, assurance
        self._clock = clock

    async def recipients(self) -> list[Recipient]:
        clients = await asyncio.to_thread(self._store.clients.all)
        found = [Recipient(one.name, _types(one)) for one in clients if not one.disabled]
        told = (await self._engine.store.find(Query("Subscription"), None, _MOST_SUBSCRIPTIONS)).matches
        for stored in told:
            host = urlsplit(str(stored.resource.get("channel", {}).get("endpoint", ""))).hostname
            type = str(stored.resource.get("criteria", "")).partition("?")[0]
            if host and stored.resource.get("status") in {"requested", "active"}:
                found.append(Recipient(f"notifications to {host}", frozenset({type})))
        return found

    async def measures(self) -> list[Measure]:
        ending = await unrecoverable(self._settings, self._store, self._clock.now())
        return [*await measures(self._settings, self._store), ending]

    async def log(self) -> Log:
        note = await self._store.log.newest()
        return Log(note or "", self._store.sequencer.key, await self._assurance())

    async def as_client(self, client: str) -> list[Principal]:
        known = await asyncio.to_thread(self._store.clients.get, client)
        if known is None:
            return []
        # Of a person's app the persons are not known: whoever used it could have been anybody in the clinic.
        scopes = tuple(scope.replace("patient/", "user/", 1) for scope in known.scopes)
        return [Principal(client, client, self._settings.base_url, "", scopes, role=SYSTEM, purposes=known.purposes)]

    async def as_person(self, reference: str) -> list[Principal]:
        users = [user for user in await self._store.doorway.users.all() if user.fhir_user == reference]
        patient = reference.removeprefix("Patient/") if reference.startswith("Patient/") else None
        own = ("patient/*.rs",) if patient else ()
        return [
            Principal(user.id, user.id, self._settings.base_url, "", (*_PERSON, *own), patient, reference, role=role)
            for user in users
            for role in user.roles
        ]


async def measures(settings: Settings, store: ClinicStore) -> list[Measure]:
    """Art. 32, from the configuration in force."""
    tls = settings.tls_certificate is not None or settings.behind_tls_proxy
    status = await store.keyring.status()
    return [
        Measure("encryption-at-rest", f"Every record is sealed with AES-256-GCM; root key: {status.root.provider}."),
        Measure(
            "encryption-in-transit",
            "TLS 1.2 or later on every connection." if tls else "Plain HTTP, on this machine alone.",
            tls,
        ),
        Measure("access", "Roles, scopes, treating ties and consent decide on each record; nothing by default."),
        await _treating_ties(settings, store),
        Measure(
            "second-factor",
            "Staff sign in with two factors; patients "
            + ("may do with a password." if settings.patients_by_password else "as well."),
        ),
        Measure("log", "Every access is recorded before it is answered, in a log that proves itself."),
        Measure(
            "backups",
            f"Backups are taken and tried out every {settings.drill_hours} hours."
            if settings.drill_hours and settings.backup_dir
            else "No backups are kept by the server.",
            bool(settings.drill_hours and settings.backup_dir),
        ),
        Measure(
            "region",
            f"Data lie in {settings.region}, as declared." if settings.region else "Where data lie is not declared.",
            bool(settings.region),
        ),
        Measure("sessions", f"A sign-in ends after {settings.sign_in_idle} seconds without a page."),
    ]


async def _treating_ties(settings: Settings, store: ClinicStore) -> Measure:
    """Row T74. With the setting, how many could use it: it is meant for a clinic of one."""
    if not settings.self_made_ties:
        return Measure(
            TREATING_TIES, "A treating tie counts only if somebody else than the person whom it ties wrote it."
        )
    treating = {role.name for role in roles().values() if role.tie is Tie.TREATMENT}
    users = [user for user in await store.doorway.users.all() if user.active and treating.intersection(user.roles)]
    says = f"Treating ties that one wrote oneself count ({PREFIX}SELF_MADE_TIES, meant for a clinic of one). "
    return Measure(TREATING_TIES, f"{says}People who can sign in to treat: {len(users)}.", holds=False)


async def unrecoverable(settings: Settings, store: ClinicStore, now: datetime) -> Measure:
    """Does what was erased become unrecoverable in the time that is set?"""
    since, hindrance = await store.rotations.waiting(), await store.rotations.hindrance()
    told = f" The root key was not rotated: {hindrance.says}." if hindrance else ""
    if since is None:
        return Measure("unrecoverable", "Nothing that was destroyed waits for a rotation of the root key.")
    late = now - since > timedelta(hours=settings.unrecoverable_within)
    day = since.isoformat(timespec="minutes")
    return Measure("unrecoverable", f"What was destroyed since {day} waits for a rotation.{told}", not (late or told))


def _types(client: Client) -> frozenset[str]:
    return frozenset(scope.type for scope in parse_all(client.scopes))


def _signed(payload: bytes, keys: tuple[bytes, bytes]) -> str:
    return sign_jws(payload, *keys, "receipts", PACK_TYPE)
