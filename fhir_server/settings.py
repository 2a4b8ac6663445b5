"""Every environment variable, declared once and read once: name, type, default, limits, and what it means.

https://12factor.net/config

A field of `Settings` is a variable: `token_lifetime` is FHIR_SERVER_TOKEN_LIFETIME. How the server may listen follows
from the settings alone (`transport`): encrypted, or plain on loopback, or plain behind a TLS proxy that was declared.
"""

import dataclasses
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from fhir_server.variables import PREFIX, Level, Like, SettingsError, Within, declared, unknown

_KEEPER = Like(
    r"(pkcs11:\S+|https?://\S+|arn:aws\S*:kms:\S+)?", "a PKCS #11 URI, a URL of a transit key, or an ARN of KMS"
)
_HTTPS = Like(r"(https://[^\s?#@]+)?", "an https URL without user and query")
_MONGO_URI = Like(r"(mongodb(\+srv)?://\S+)?", "beginning with mongodb:// or mongodb+srv://")
_NAME = Like(r"[a-z][a-z0-9_]{0,31}", "1 to 32 of a-z, 0-9 and _, a letter first")
_TITLE = Like(r"[^\s:<>\"&][^:<>\"&\x00-\x1f\x7f-\x9f]{0,59}", '1 to 60 characters without a colon and < > " &')
_ZONE = Like(r"[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+)*", "a name of the IANA time zone database")
_PACK = Like(r"eu|fr|gb", "one of eu, fr, gb")
_COUNTRY = Like(r"([A-Z]{2})?", "a country by its two letters of ISO 3166-1")
_RULES = Like(r"(eu|fr|gb|be|de|es|it|nl)?", "one of eu, fr, gb, be, de, es, it, nl")
_POLICY = Like(r"basic-normal|all-normal|break-glass-only|deny", "one of IHE PCF's implicit policies")
_ROLES = Like(r"none|(practitioner|nurse)(,(practitioner|nurse))*", "none, or names with commas between them")
_PARAMETERS = Like(r"(\w+\.[\w\-]+(,\w+\.[\w\-]+)*)?", "as `Patient.name,Practitioner.name`")
_BASE_URL = Like(r"(https?://(?!\S*/fhir/?$)[^\s/?#@]+(/[^\s?#]*)?)?", "an http(s) URL without /fhir, user and query")


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force. Empty `base_url` and `root_key_file` are filled in, so a reader never meets an empty one."""

    data_dir: Annotated[Path, "Where the embedded database and the keys lie."] = Path(".data")
    mongo_uri: Annotated[str, "The MongoDB deployment; empty for the embedded mongod.", _MONGO_URI] = dataclasses.field(
        default="", repr=False
    )
    embedded_cache: Annotated[float, "Cache of the embedded mongod, in GiB.", Within(0.25, 1024)] = 0.5
    database: Annotated[str, "The clinic's database; all its databases begin with this name.", _NAME] = "clinic"
    base_url: Annotated[str, "The URL that clients know, without `/fhir`; empty for HOST and PORT.", _BASE_URL] = ""
    host: Annotated[str, "The address to listen on."] = "127.0.0.1"
    port: Annotated[int, "The port to listen on.", Within(1, 65_535)] = 8000
    processes: Annotated[int, "How many processes answer requests, all on that port.", Within(1, 64)] = 1
    metrics_port: Annotated[
        int,
        "Port of 127.0.0.1 that tells metrics; each further process has the next one. 0 for none.",
        Within(0, 65_000),
    ] = 0
    tls_certificate: Annotated[Path | None, "PEM file: the server's certificate and its chain."] = None
    tls_key: Annotated[Path | None, "PEM file: the certificate's private key, not encrypted."] = None
    behind_tls_proxy: Annotated[bool, "Declares that a proxy before the server terminates TLS."] = False
    log_level: Annotated[Level, "The least severe message that is logged."] = "info"
    root_key_file: Annotated[Path, "The file provider's root key; empty for `keys/root.json` in DATA_DIR."] = Path()
    root_key: Annotated[str, "Who keeps the root key; empty for the file.", _KEEPER] = ""
    root_key_token_file: Annotated[Path | None, "File with the token that Vault asks for; an agent renews it."] = None
    token_lifetime: Annotated[int, "Seconds an access token is good for.", Within(30, 3600)] = 300
    token_rate: Annotated[
        int, "The most tokens one client gets in a second, from all processes.", Within(1, 10_000)
    ] = 300
    offline_days: Annotated[int, "Days until an app with `offline_access` must ask again.", Within(1, 730)] = 90
    organization_name: Annotated[str, "The clinic's name, for IHE IUA claims in tokens."] = ""
    organization_id: Annotated[str, "A URI that names the clinic, for the same."] = ""
    home_community_id: Annotated[str, "Its home community (`urn:oid:…`), for the same."] = ""
    max_body_bytes: Annotated[int, "The largest request body.", Within(1024, 1_073_741_824)] = 32_000_000
    most_entries: Annotated[int, "The most entries in a Bundle that is posted.", Within(1, 5000)] = 5000
    unrecoverable_within: Annotated[int, "Hours until what was erased cannot be recovered.", Within(1, 720)] = 24
    conditional_delete_several: Annotated[bool, "Lets a conditional delete delete several resources."] = False
    audit_witness: Annotated[Path | None, "A folder on other storage, where the log's checkpoints are kept."] = None
    audit_witness_url: Annotated[str, "A witness that somebody else runs: its tlog-witness address.", _HTTPS] = ""
    audit_witness_key: Annotated[str, "That witness's verifier key; set with AUDIT_WITNESS_URL."] = ""
    audit_timestamp_url: Annotated[str, "A time stamp authority (RFC 3161).", _HTTPS] = ""
    audit_timestamp_roots: Annotated[Path | None, "PEM file: its roots; set with AUDIT_TIMESTAMP_URL."] = None
    refuse_missing_references: Annotated[bool, "Refuse a resource that refers to one not stored here."] = False
    page_lifetime: Annotated[int, "Seconds a link to a further page is good for.", Within(60, 86_400)] = 900
    time_zone: Annotated[str, "Where dates without a time zone are meant, as `Europe/London`.", _ZONE] = "UTC"
    search_inside: Annotated[str, "Parameters found by any part of their text; after a reindex.", _PARAMETERS] = ""
    search_candidates: Annotated[int, "The most resources opened for one order or total.", Within(20, 100_000)] = 2000
    search_seconds: Annotated[float, "Seconds that one search may take.", Within(0.1, 300)] = 10.0
    remembered_patients: Annotated[
        int, "Patients whose keys and standing a process keeps in memory, about 1.5 kB each.", Within(100, 10_000_000)
    ] = 200_000
    chain_depth: Annotated[int, "How many resources a chained search may lead through.", Within(1, 8)] = 3
    chain_resources: Annotated[int, "The most resources in one step of a chain.", Within(1, 10_000)] = 1000
    most_included: Annotated[int, "The most included resources on one page.", Within(1, 10_000)] = 1000
    tie_days: Annotated[int, "Days around its dates in which an Encounter or Appointment ties.", Within(0, 3650)] = 90
    self_made_ties: Annotated[bool, "For a clinic of one: ties that one wrote oneself count too."] = False
    break_glass_roles: Annotated[str, "The roles that may break the glass, of practitioner and nurse.", _ROLES] = (
        "practitioner,nurse"
    )
    break_glass_minutes: Annotated[int, "The longest that a glass stays broken.", Within(1, 60)] = 60
    worker_interval: Annotated[float, "Seconds between two looks for background work.", Within(0.05, 3600)] = 1.0
    backup_dir: Annotated[Path | None, "Where the worker keeps backups of the data; empty to keep none."] = None
    backup_keys_dir: Annotated[Path | None, "Where it keeps those of the keys, apart; set with BACKUP_DIR."] = None
    root_key_copy: Annotated[Path | None, "Where the worker copies the root key file to when it rotates it."] = None
    drill_hours: Annotated[int, "Hours between two backups that the worker tries out; 0 for none.", Within(0, 8760)] = (
        24
    )
    insurance_policies: Annotated[Path | None, "A folder of the conditions of your insurers, each a TOML file."] = None
    professional_bodies: Annotated[Path | None, "A folder of further professional bodies, each a TOML file."] = None
    notify_loopback: Annotated[bool, "For a demo: subscriptions may notify this machine, also by plain http."] = False
    clinic_name: Annotated[str, "The clinic's name on the sign-in pages and in authenticator apps.", _TITLE] = "Clinic"
    jurisdiction: Annotated[str, "Whose rules on care, age and bans hold; `eu`: the GDPR alone.", _PACK] = "eu"
    region: Annotated[str, "Country where data lie, declared; one that JURISDICTION allows.", _COUNTRY] = ""
    eu_provider_required: Annotated[bool, "Suppliers under control from outside the EEA are red in the report."] = False
    originals_told: Annotated[
        int, "Patients of whom one opens originals in an hour until it is told; 0: never.", Within(0, 100_000)
    ] = 60
    originals_stopped: Annotated[
        int, "Patients of whom one opens originals in an hour until it stops; 0: never.", Within(0, 100_000)
    ] = 120
    require_training: Annotated[bool, "Staff see photographs only while trained in handling them."] = False
    retention: Annotated[str, "Whose rules on how long records are kept; empty: JURISDICTION's.", _RULES] = ""
    implicit_policy: Annotated[str, "What holds for data of a patient without consents.", _POLICY] = "all-normal"
    sign_in_idle: Annotated[int, "Seconds without a page until a sign-in ends.", Within(60, 86_400)] = 900
    sign_in_lifetime: Annotated[int, "Seconds after which a sign-in ends in any case.", Within(300, 604_800)] = 36_000
    patients_by_password: Annotated[bool, "Lets patients and related persons sign in without a second factor."] = True
    password_memory: Annotated[int, "KiB that hashing a password takes (argon2id).", Within(19_456, 1_048_576)] = 65_536
    password_passes: Annotated[int, "How often argon2id goes over that memory.", Within(2, 20)] = 3

    def __post_init__(self) -> None:
        wrong = [variable for variable in VARIABLES if not variable.allows(getattr(self, variable.field))]
        if wrong:
            raise SettingsError("\n".join(variable.complaint() for variable in wrong))
        if self.metrics_port <= self.port < self.metrics_port + self.processes:
            raise SettingsError(f"{PREFIX}METRICS_PORT, or one of those after it that it means, is {PREFIX}PORT.")
        if (self.backup_dir is None) != (self.backup_keys_dir is None):
            raise SettingsError(f"{PREFIX}BACKUP_DIR and {PREFIX}BACKUP_KEYS_DIR must be set together.")
        for one, other in (
            ("AUDIT_WITNESS_URL", "AUDIT_WITNESS_KEY"),
            ("AUDIT_TIMESTAMP_URL", "AUDIT_TIMESTAMP_ROOTS"),
        ):
            if bool(getattr(self, one.lower())) != bool(getattr(self, other.lower())):
                raise SettingsError(f"{PREFIX}{one} and {PREFIX}{other} must be set together.")
        url = self.base_url.rstrip("/") or _url_of(self.host, self.port, secure=_is_secure(self))
        object.__setattr__(self, "base_url", url)
        if self.root_key_file == Path():
            object.__setattr__(self, "root_key_file", self.data_dir / "keys" / "root.json")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **overrides: object) -> Self:
        """Reads FHIR_SERVER_*, and overrides (by field) over them. An empty text is the default, None is no override.

        Raises SettingsError with one line per wrong or unknown variable.
        """
        given: dict[str, object] = {name: text for name, text in environment.items() if name.startswith(PREFIX)}
        given |= {PREFIX + field.upper(): value for field, value in overrides.items() if value is not None}
        known = {variable.name: variable for variable in VARIABLES}
        problems = [unknown(name, known) for name in sorted(given) if name not in known]
        values = {}
        for name, variable in known.items():
            try:
                if (value := given.get(name, "")) != "":
                    values[variable.field] = variable.read(value) if isinstance(value, str) else value
            except ValueError:
                problems.append(variable.complaint())
        if problems:
            raise SettingsError("\n".join(problems))
        return cls(**values)  # type: ignore[arg-type]  # by variable: `read` gives what its field is declared to hold


VARIABLES = declared(Settings)


@dataclass(frozen=True, slots=True)
class Transport:
    """How the listener is protected. `hsts`: answers carry Strict-Transport-Security (RFC 6797)."""

    certificate: Path | None
    key: Path | None
    hsts: bool

    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS 1.2 or later (BCP 195), for uvicorn's `ssl_context_factory`; None where the listener is plain."""
        if self.certificate is None or self.key is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        try:
            context.load_cert_chain(self.certificate, self.key, password="")  # fail on a locked key, never ask
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(
                f"{PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY must be PEM files of a certificate and its key."
            ) from error
        return context


def transport(settings: Settings) -> Transport:
    """How these settings let the server listen. Raises SettingsError where anything would cross a network in plain."""
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise SettingsError(f"{PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY must be set together.")
    secure = _is_secure(settings)
    if not secure and not _is_loopback(settings.host):
        raise SettingsError(
            f"{PREFIX}HOST must be loopback while the listener is plain: set {PREFIX}TLS_CERTIFICATE and "
            f"{PREFIX}TLS_KEY, or declare {PREFIX}BEHIND_TLS_PROXY."
        )
    if settings.base_url.startswith("https:") != secure:
        raise SettingsError(
            f"{PREFIX}BASE_URL must begin with https:// where the server has a certificate or {PREFIX}BEHIND_TLS_PROXY "
            "is declared, and with http:// where not."
        )
    client_sees = _host_of(settings.base_url)
    if not secure and not _is_loopback(client_sees):
        raise SettingsError(f"{PREFIX}BASE_URL must be on loopback while it begins with http://.")
    if client_sees in {"", "0.0.0.0", "::"}:  # noqa: S104  refused, not bound
        raise SettingsError(f"{PREFIX}BASE_URL must name the server as its clients do, and not every address.")
    return Transport(settings.tls_certificate, settings.tls_key, hsts=secure)


def _is_secure(settings: Settings) -> bool:
    return settings.tls_certificate is not None or settings.behind_tls_proxy


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _url_of(host: str, port: int, *, secure: bool) -> str:
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
