"""Who asks for what, and why: the one value every step may look at.

https://hl7.org/fhir/R4/http.html#3.1.0
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from fhir_server.engine.change import LegalBasis
from fhir_server.engine.ports import Present
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json


class Interaction(StrEnum):
    """The codes of http://hl7.org/fhir/restful-interaction, and `operation` for a named one."""

    READ = "read"
    VREAD = "vread"
    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    SEARCH_TYPE = "search-type"
    SEARCH_SYSTEM = "search-system"
    HISTORY_INSTANCE = "history-instance"
    HISTORY_TYPE = "history-type"
    HISTORY_SYSTEM = "history-system"
    BATCH = "batch"
    TRANSACTION = "transaction"
    CAPABILITIES = "capabilities"
    OPERATION = "operation"


@dataclass(frozen=True, slots=True)
class Capture:
    """What the token of a capture session is bound to: a key by its thumbprint, a Device by its id, a legal basis."""

    key: str
    device: str
    basis: str


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated party and what its token grants.

    `subject` and `issuer` are the token's sub and iss, `token_id` its jti. `fhir_user` is a reference such as
    `Practitioner/3`. `patient` is the id of the patient in context, without `Patient/`. `role` is the one in which it
    acts, `purposes` (v3-ActReason codes) are all that its client may state. `grant` is what the token ends with; what
    the server does itself has none. `capture`: all it is good for is to bring photographs in one session.
    """

    subject: str
    client_id: str
    issuer: str
    token_id: str
    scopes: tuple[str, ...] = ()
    patient: str | None = None
    fhir_user: str | None = None
    name: str | None = None
    role: str | None = None
    purposes: tuple[str, ...] = ()
    grant: str = ""
    capture: Capture | None = None


ANONYMOUS = Principal("anonymous", "anonymous", "", "")


@dataclass(frozen=True, slots=True)
class Release:
    """To whom outside of the clinic something is handed: the reference of the recipient, for what, and on what ground.

    `purpose` is a v3-ActReason code, `sha256` that of what was handed over.
    """

    recipient: str
    purpose: str
    ground: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What held a moment ago, after the call had come: these patients' epochs, and the grant (empty where it did not).

    `since` is when it was asked for.
    """

    epochs: Mapping[str, int]
    grant: str
    since: datetime


@dataclass(slots=True)
class Trace:
    """What the steps worked out while they handled one call; never part of its identity.

    `bases`: patient id -> the legal basis on which something of that patient was disclosed. `decisions`: patient id and
    resource -> what was decided, permitted or refused; a refusal is recorded with the patients that it was about.
    `stands`: what was looked up of a patient for this call. `remembering`: what was looked up for an earlier one may
    permit, because how the call is concluded looks at the epochs again.
    `ties`: patient id -> what ties the caller to that patient (`Encounter/9`), None where nothing does; the entries of
    a Bundle share it. `broken`: patient id -> the Task by which the caller broke the glass before that patient, None
    where they did not; `glass`: those of them on which the answer rests.
    `listed`: whether all to whom something ties were looked up; `tied` are these, None where they are too many.
    `release`: whom what is disclosed is handed to; then it is recorded as a disclosure to them.
    `looked`: what was looked at so lately that it need not be looked at again by what is recorded now; then it is gone.
    `meant`: the codes that a criterion means; what was read for one type that is searched is not read for the next.
    `within`: the patients to one of whom an answer has to keep that lists what is listed within one patient only.
    """

    bases: dict[str, LegalBasis] = field(default_factory=dict)
    decisions: dict[tuple[str, ResourceKey], object] = field(default_factory=dict)
    stands: dict[str, object] = field(default_factory=dict)
    remembering: bool = False
    ties: dict[str, str | None] = field(default_factory=dict)
    broken: dict[str, str | None] = field(default_factory=dict)
    glass: dict[str, str] = field(default_factory=dict)
    listed: bool = False
    tied: tuple[str, ...] | None = None
    within: frozenset[str] | None = None
    release: Release | None = None
    looked: Looked | None = None
    meant: dict[object, object] = field(default_factory=dict)

    def relied_on(self, bases: Collection[LegalBasis], grant: str) -> tuple[Collection[LegalBasis], str]:
        """What must be looked at once more before anything leaves that rests on it."""
        looked = self.looked
        if looked is None:
            return bases, grant
        left = tuple(basis for basis in bases if looked.epochs.get(basis.patient) != basis.epoch)
        return left, "" if grant == looked.grant else grant

    def forget(self) -> None:
        """Something changed: decide again, on nothing that was remembered from before."""
        self.bases.clear()
        self.decisions.clear()
        self.stands.clear()
        self.remembering = False
        self.ties.clear()
        self.meant.clear()
        self.broken.clear()
        self.glass.clear()
        self.listed, self.tied, self.within, self.release = False, None, None, None
        self.looked = None


@dataclass(slots=True)
class Beside:
    """What else the transaction does that a call is part of.

    `made` and `removed` are there, or gone, when it is committed; `resources` are the new versions that it brings.
    `found` remembers for all of its entries what was looked up for one; `foreseen`: for all of them at once.
    """

    made: frozenset[ResourceKey] = frozenset()
    removed: frozenset[ResourceKey] = frozenset()
    resources: Sequence[Json] = ()
    found: dict[ResourceKey, Present | None] = field(default_factory=dict)
    foreseen: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One interaction as asked for.

    `request` is the request line and body of a search, credentials removed; it may hold names and goes nowhere but into
    the sealed audit event. `operation` is the name after the `$`, `beside` the transaction around it.
    """

    interaction: Interaction
    principal: Principal
    instant: datetime
    type: str | None = None
    id: str | None = None
    version: int | None = None
    purpose: str = "TREAT"
    request_id: str = ""
    client_address: str = ""
    request: str = field(default="", repr=False)
    operation: str | None = None
    trace: Trace = field(default_factory=Trace, compare=False, repr=False)
    beside: Beside | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> ResourceKey | None:
        return ResourceKey(self.type, self.id) if self.type and self.id else None
