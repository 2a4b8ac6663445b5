"""Puts together what keeps step with another FHIR server, as the settings of the source say."""

from collections import Counter
from typing import Protocol
from urllib.parse import urlsplit

from mappers.fhir_sync.authority import ROLES, Authority, Side, published
from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import decode_object
from mappers.runtime.backend_services import BackendServices
from mappers.runtime.clock import Clock
from mappers.runtime.delivery import Outcome
from mappers.runtime.faults import SetupError
from mappers.runtime.records import Records
from mappers.runtime.remote import Remote
from mappers.runtime.server import Server
from mappers.runtime.settings import SourceSettings, refuse_open
from mappers.runtime.syncing.links import Links
from mappers.runtime.syncing.pairs import Pairs
from mappers.runtime.syncing.partners import Partners
from mappers.runtime.syncing.photos import Photos
from mappers.runtime.syncing.putting_aside import PuttingAside
from mappers.runtime.syncing.rounds import Rounds
from mappers.runtime.syncing.writing import Writing


class Steady(Protocol):
    """Somebody who is looked after at a pace."""

    async def poll(self) -> Counter[Outcome]: ...

    async def again(self, *, only_waiting: bool = False) -> Counter[Outcome]: ...


def in_step(source: SourceSettings, here: Remote, server: Server, records: Records, clock: Clock) -> Rounds:
    base = source.text("base").rstrip("/")
    refuse_open(base)
    roles = frozenset(source.texts("they_are"))
    if not roles or not roles <= ROLES:
        raise SetupError(f"they_are of {source.name} is some of {', '.join(sorted(ROLES))}.")
    table = published()
    types = source.texts("types") or tuple(table)
    if not table.keys() >= set(types):
        raise SetupError(f"types of {source.name} are some of {', '.join(table)}.")
    hosts = frozenset({urlsplit(base).netloc, *source.texts("auth_hosts")})
    try:
        key = decode_object(source.secret("key_file").encode())
    except UnusableError:
        raise SetupError(f"The key of {source.name} is no JSON Web Key.") from None
    tokens = BackendServices(here.http, base, source.text("client_id"), source.text("scope"), key, clock, hosts)
    sides = {Side.OURS: here, Side.THEIRS: Remote(here.http, base, tokens)}
    recipient = source.text("recipient") if "recipient" in source.given else None
    pairs = Pairs(
        sides,
        Links(server, here, records),
        Partners(sides),
        Photos(here, recipient, clock),
        Writing(server, sides, records, clock),
        Authority(roles, {type: said for type, said in table.items() if type in types}),
        source.table("known"),
    )
    return Rounds(pairs, PuttingAside(server, records, clock), source.beginning())
