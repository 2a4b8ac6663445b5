"""What settings make of the parts: limits, whose clinic it is, who acts and signs for it, who witnesses.

Architecture section 2. Part of the composition root.
"""

from collections.abc import Mapping
from datetime import timedelta, tzinfo

from fhir_server.audit import agents
from fhir_server.audit.anchoring import Anchor
from fhir_server.crypto.derivation import derive
from fhir_server.crypto.jws import sign_jws
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.providers import places
from fhir_server.crypto.providers.file import FileProvider
from fhir_server.crypto.providers.port import RootKeyProvider
from fhir_server.crypto.signing import Signer
from fhir_server.crypto.timestamps import Authority
from fhir_server.engine.call import Principal
from fhir_server.engine.interactions import Engine
from fhir_server.engine.limits import Limits
from fhir_server.injectables.packing import PACK_TYPE
from fhir_server.injectables.packs import Issuer
from fhir_server.injectables.policy import Policy, PolicyError, policies
from fhir_server.injectables.services import Injectables, Parts, injectables
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import random_id
from fhir_server.outbound.egress import Egress
from fhir_server.outbound.file_witness import FileWitness
from fhir_server.outbound.http_witness import HttpWitness
from fhir_server.outbound.timestamping import TimeStamping
from fhir_server.privacy.receipt import RECEIPT_TYPE, Scribe
from fhir_server.privacy.retention import Pack, pack
from fhir_server.settings import Settings
from fhir_server.smart.break_glass import GlassPolicy
from fhir_server.smart.token import Organization
from fhir_server.variables import PREFIX, SettingsError

THE_SERVER = Principal("fhir-server", "fhir-server", "", "", scopes=("system/*.cruds",), name="fhir-server")
"""Who acts when a duty of the server itself writes: recorded like anybody else."""


def root_key(settings: Settings) -> RootKeyProvider:
    """Who keeps the root key. Raises ProviderError."""
    return places.keeper(settings.root_key, settings.root_key_file, settings.root_key_token_file)


async def opened_root_key(settings: Settings) -> RootKeyProvider:
    """The same, asked whether the key is there. A file is made; elsewhere an empty keeper is likely the wrong one."""
    if not settings.root_key:
        return FileProvider.create(settings.root_key_file)
    provider = root_key(settings)
    await provider.describe()
    return provider


def glass_policy(settings: Settings) -> GlassPolicy:
    return GlassPolicy(
        frozenset(settings.break_glass_roles.split(",")), timedelta(minutes=settings.break_glass_minutes)
    )


async def scribe(keyring: Keyring, clinic: str, secret: bytes, public: bytes) -> Scribe:
    """Signs receipts with a key of its own; says of their end what the keeper of the root key says."""
    status = await keyring.status()

    def sign(payload: bytes) -> str:
        return sign_jws(payload, secret, public, "receipts", RECEIPT_TYPE)

    def name(text: str) -> str:
        return derive(secret, "receipt-id", text.encode()).hex()

    return Scribe(sign, name, clinic, status.root.note)


def insurers(settings: Settings) -> Mapping[str, Policy]:
    """Raises SettingsError for a file that is no policy."""
    try:
        return policies(settings.insurance_policies)
    except PolicyError as error:
        raise SettingsError(f"{PREFIX}INSURANCE_POLICIES: {error}") from None


def injecting(settings: Settings, engine: Engine, parts: Parts, secret: bytes, zone: tzinfo) -> Injectables:
    """Packs of evidence are signed with the key of receipts, as another type of text."""
    public = Signer(secret).public

    def sign(payload: bytes) -> str:
        return sign_jws(payload, secret, public, "receipts", PACK_TYPE)

    issuer = Issuer(clinic_of(settings).name, sign, random_id, THE_SERVER)
    return injectables(engine, parts, insurers(settings), issuer, zone)


def anchors(settings: Settings, clock: Clock, egress: Egress | None = None) -> list[Anchor]:
    """Who vouches for the log. Raises SignatureError where a root certificate is missing."""
    way = egress or Egress()
    found: list[Anchor] = []
    if settings.audit_witness:
        found.append(FileWitness(settings.audit_witness))
    if settings.audit_witness_url:
        found.append(HttpWitness(way, settings.audit_witness_url, settings.audit_witness_key))
    if settings.audit_timestamp_url and settings.audit_timestamp_roots:
        found.append(TimeStamping(way, settings.audit_timestamp_url, Authority(settings.audit_timestamp_roots), clock))
    return found


def retention(settings: Settings) -> Pack:
    """Whose rules on how long records are kept hold here."""
    return pack(settings.retention or settings.jurisdiction)


def limits(settings: Settings) -> Limits:
    return Limits(settings.search_candidates, settings.chain_resources, settings.search_seconds, settings.most_included)


def clinic_of(settings: Settings) -> agents.Organization:
    return agents.Organization(settings.organization_name or settings.clinic_name, settings.organization_id)


def organization(settings: Settings) -> Organization:
    return Organization(settings.organization_name, settings.organization_id, settings.home_community_id)
