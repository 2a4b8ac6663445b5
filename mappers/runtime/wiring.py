"""Puts the parts of the runtime together as the settings say: deliveries, hooks, pollers, listeners."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from httpx2 import AsyncClient

from mappers.booking.cliniko import patients as cliniko_patients
from mappers.booking.cliniko import polling as cliniko
from mappers.booking.nextmotion import consent_forms, photographs
from mappers.booking.nextmotion import webhooks as nextmotion
from mappers.booking.pabau import clients as pabau_clients
from mappers.csv_files.layout import layout
from mappers.hl7v2.sending import Ends
from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import decode_object
from mappers.mapping.message import Message
from mappers.runtime.backend_services import BackendServices
from mappers.runtime.belongings import MOST_FILE, Belongings
from mappers.runtime.clock import Clock
from mappers.runtime.delivery import Delivery, Keep, Read, Source
from mappers.runtime.faults import SetupError
from mappers.runtime.feeds import Feeds
from mappers.runtime.fetching import Fetcher
from mappers.runtime.importing import Importing, without_data
from mappers.runtime.line import Posting
from mappers.runtime.listings import cliniko_listing, pabau_listing
from mappers.runtime.mllp_sender import Sender, client_context
from mappers.runtime.polling import Poller
from mappers.runtime.records import Records
from mappers.runtime.remote import Remote
from mappers.runtime.server import Server
from mappers.runtime.settings import Settings, SourceSettings, refuse_open
from mappers.runtime.syncing.putting_aside import PuttingAside
from mappers.runtime.syncing.wiring import Steady, in_step
from mappers.runtime.systems import SYSTEMS
from mappers.runtime.telling import Telling
from mappers.runtime.web import Hook

_FILES = ("authorities", "certificate", "certificate_key")
STEADY = frozenset({"fhir", "siu"})
_HINTS_PER_MINUTE = 30
_READERS: Mapping[str, Read] = {"patients": cliniko_patients.read, "clients": pabau_clients.read}
NEXTMOTION_FILES: Mapping[str, Read] = {"media_records": photographs.read, "consent_forms": consent_forms.read}


@dataclass(slots=True)
class Runtime:
    """`line`: for what a message asks of the server, where that is to cost less than by `http`."""

    settings: Settings
    http: AsyncClient
    clock: Clock
    line: Posting | None = None
    server: Server = field(init=False)
    here: Remote = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        refuse_open(settings.server)
        tokens = BackendServices(
            self.http, settings.server, settings.client_id, settings.scope, settings.key, self.clock
        )
        self.server = Server(self.line or self.http, settings.server, tokens)
        self.here = Remote(self.http, settings.server, tokens)

    def steady(self, source: SourceSettings) -> Steady | None:
        """What is kept in step with, or told what changes here."""
        records = Records(source.name, self.settings.state_key)
        if source.system == "fhir":
            return in_step(source, self.here, self.server, records, self.clock)
        return self._telling(source, records) if source.system == "siu" else None

    def _telling(self, source: SourceSettings, records: Records) -> Telling:
        given = {name: str(source.folder / source.text(name)) for name in _FILES if name in source.given}
        authorities = given.pop("authorities", None)
        tls = (
            client_context(authorities, given.get("certificate"), given.get("certificate_key")) if authorities else None
        )
        sender, receiver = source.texts("sender"), source.texts("receiver")
        if len(sender) != 2 or len(receiver) != 2:  # noqa: PLR2004  application and facility
            raise SetupError(f"sender and receiver of {source.name} are an application and a facility each.")
        ends = Ends((sender[0], sender[1]), (receiver[0], receiver[1]))
        aside = PuttingAside(self.server, records, self.clock)
        return Telling(
            self.here, Sender(source.text("host"), source.port(), tls), ends, aside, self.clock, source.beginning()
        )

    def delivery(self, source: SourceSettings) -> Delivery:
        system = SYSTEMS[source.system]
        made = Source(source.name, system.read, source.tables, system.type, system.keep)
        return Delivery(self.server, made, Records(source.name, self.settings.state_key), self.clock)

    def deliveries(self, source: SourceSettings) -> list[Delivery]:
        """Of all that this source sends, by name."""
        if source.system == "csv":
            return [self.importing_delivery(source, importing_of(source, self.clock))]
        own = [self.delivery(source)]
        own += [self._reading(source, listed) for listed in NEXTMOTION_FILES if source.system == "nextmotion"]
        found = {one.source.name: one for one in (*own, *(poller.delivery for poller in self.pollers(source)))}
        return list(found.values())

    def names(self, source: SourceSettings) -> list[str]:
        """Under which what this source sent is put aside."""
        if source.system in STEADY:
            return [source.name]
        return [one.source.name for one in self.deliveries(source)]

    def importing_delivery(self, source: SourceSettings, importing: Importing) -> Delivery:
        made = Source(source.name, importing.reader, source.tables, keep=without_data)
        return Delivery(self.server, made, Records(source.name, self.settings.state_key), self.clock)

    def hooks(self) -> list[Hook]:
        return [self._hook(source) for source in self.settings.sources if "path" in source.given]

    def feeds(self) -> Feeds:
        return Feeds(self.server, Records("feeds", self.settings.state_key), self.clock)

    def pollers(self, source: SourceSettings) -> list[Poller]:
        if source.system == "cliniko":
            return self._of_cliniko(source)
        return self._of_pabau(source) if source.system == "pabau" else []

    def _hook(self, source: SourceSettings) -> Hook:
        """Who does not sign is not believed: the hint makes us ask."""
        system = SYSTEMS[source.system]
        if system.verify is None:
            raise SetupError(f"{source.name} sends no webhooks.")
        verify, secret = system.verify, source.secret("secret_file")

        def proven(headers: Mapping[str, str], raw: bytes, now: datetime) -> None:
            verify(headers, raw, secret, now)

        take: Callable[[Message], Awaitable[object]] = self.delivery(source).deliver
        if source.system == "nextmotion":
            take = partial(self._asked_nextmotion, source, self.delivery(source))
        if source.system == "pabau":
            take = partial(self._asked, self.pollers(source))
        return Hook(source.text("path"), proven, take, 600 if system.signs else _HINTS_PER_MINUTE)

    async def _asked_nextmotion(self, source: SourceSettings, delivery: Delivery, hint: Message) -> None:
        url = nextmotion.appointment_url(hint.raw, source.text("id_at"))
        fetcher = Fetcher(self.http, SYSTEMS[source.system].hosts)
        raw = await fetcher.get(url, nextmotion.headers(source.secret("api_key_file")))
        if raw is not None:
            await delivery.deliver(Message(raw, hint.received))
            if hosts := source.hosts("file_hosts"):
                await self._belongings(source, fetcher, hosts).follow(raw, hint.received)

    def _belongings(self, source: SourceSettings, api: Fetcher, hosts: frozenset[str]) -> Belongings:
        headers = nextmotion.headers(source.secret("api_key_file"))
        pictures, forms = (self._reading(source, listed) for listed in NEXTMOTION_FILES)
        return Belongings(api, Fetcher(self.http, hosts, MOST_FILE), headers, pictures, forms)

    async def _asked(self, pollers: list[Poller], hint: Message) -> None:
        for poller in pollers:
            await poller.poll()

    def _of_cliniko(self, source: SourceSettings) -> list[Poller]:
        key = source.secret("api_key_file")
        headers = cliniko.headers(key, source.text("app"), source.text("email"))
        fetcher = Fetcher(self.http, frozenset({urlsplit(cliniko.base(key)).netloc}))
        return [
            Poller(fetcher, headers, self._reading(source, listed), cliniko_listing(key, listed), source.beginning())
            for listed in cliniko.LISTS
        ]

    def _of_pabau(self, source: SourceSettings) -> list[Poller]:
        key = source.secret("api_key_file")
        fetcher = Fetcher(self.http, SYSTEMS["pabau"].hosts)
        return [
            Poller(fetcher, {}, self._reading(source, listed), pabau_listing(key, listed), source.beginning())
            for listed in ("clients", "appointments")
        ]

    def _reading(self, source: SourceSettings, listed: str) -> Delivery:
        """Patients have a reader of their own, and files, which are not kept with their message."""
        read = _READERS.get(listed) or NEXTMOTION_FILES.get(listed)
        if read is None:
            return self.delivery(source)
        keep: Keep = without_data if listed in NEXTMOTION_FILES else bytes
        made = Source(f"{source.name}/{listed}", read, source.tables, keep=keep)
        return Delivery(self.server, made, Records(made.name, self.settings.state_key), self.clock)


def importing_of(source: SourceSettings, clock: Clock) -> Importing:
    """As the clinic's column mapping says."""
    try:
        return Importing(
            layout(decode_object((source.folder / source.text("columns")).read_bytes())), source.tables, clock
        )
    except OSError:
        raise SetupError(f"{source.name}: the column mapping cannot be read.") from None
    except UnusableError as error:
        raise SetupError(f"{source.name}: {error}") from None
