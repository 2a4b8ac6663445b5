"""Subscriptions, put together: who is told, of what, and on which way out.

https://hl7.org/fhir/R4/subscription.html. Part of the composition root.
"""

import secrets
from dataclasses import dataclass

from fhir_server.engine.call import Principal
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.clock import Clock
from fhir_server.kernel.identity import random_id
from fhir_server.outbound.egress import Egress
from fhir_server.outbound.hooks import Hooks
from fhir_server.smart.standing import Standing
from fhir_server.store.clinic import ClinicStore
from fhir_server.subscriptions.events import Events
from fhir_server.subscriptions.looking import Looking
from fhir_server.subscriptions.notifier import Notifier
from fhir_server.subscriptions.roster import Duties, Roster
from fhir_server.subscriptions.telling import Telling


@dataclass(frozen=True, slots=True)
class Notifying:
    notifier: Notifier
    events: Events


def way_out(*, loopback: bool) -> Hooks:
    """To public addresses; with `loopback` to this machine as well, for a demo."""
    return Hooks(Egress(loopback=loopback))


def notifying(
    store: ClinicStore, engine: Engine, hooks: Hooks, server: Principal, issuer: str, clock: Clock
) -> Notifying:
    """`server` is who acts when a subscription's state changes; `issuer` that of the clients' tokens."""
    rows, changes = store.subscriptions, store.changes
    telling = Telling(engine, rows, hooks, clock, _spread)
    duties = Duties(server, issuer, Standing(store.clients), hooks.may)
    notifier = Notifier(
        random_id(),
        Roster(engine, changes, rows, duties, clock),
        Looking(engine, changes, rows),
        telling,
        rows,
        clock,
    )
    return Notifying(notifier, Events(engine, rows, telling))


def _spread() -> float:
    """From 0 to 1: retries of several endpoints that went down together do not come together."""
    return secrets.randbelow(1_001) / 1_000
