"""What a client will be allowed, in plain words, each part of it to be unticked or narrowed.

SMART App Launch 2.2; R-SMART-022, -024, -032; GDPR Art. 7(2). Nothing is taken from the form but ticks: what they stand
for is worked out again from the request.
"""

from fhir_server.smart.approval import Authorizations, Pending
from fhir_server.smart.signin.choices import (
    Choice,
    DataOffer,
    Offer,
    everything,
    granted,
    grants_something,
    offers,
)
from fhir_server.smart.signin.sessions import Remembered
from fhir_server.smart.signin.steps import Step, after_sign_in
from fhir_server.ui import flow
from fhir_server.ui.answers import Answer, Go, Show, wrong
from fhir_server.ui.language import Words
from fhir_server.ui.scope_words import explained
from fhir_server.ui.sign_in_page import approval
from fhir_server.ui.surface import Surface
from fhir_server.ui.visit import Signed, Visit


async def get(surface: Surface, visit: Visit) -> Answer:
    ready = _ready(surface, visit)
    if isinstance(ready, Go):
        return ready
    signed, pending, _ = ready
    offered = offers(pending.scopes)
    return Show("consent", _values(visit.words, signed, pending, offered, everything(offered)))


async def post(surface: Surface, visit: Visit) -> Answer:
    ready = _ready(surface, visit)
    if isinstance(ready, Go):
        return ready
    signed, pending, to = ready
    offered = offers(pending.scopes)
    choice = _ticked(visit, offered)
    scopes = granted(offered, choice)
    if not grants_something(scopes):
        return wrong("consent", _values(visit.words, signed, pending, offered, choice), "consent-empty", "consent")
    chosen = signed.sign_in.chosen
    assert chosen is not None
    assert chosen.role is not None
    given = Remembered(pending.client_id, chosen.role, chosen.patient, scopes)
    address = await to.approve(pending.id, approval(signed.user, signed.sign_in, pending, given))
    await surface.door.sessions.remember(signed.sign_in, given)
    return Go(address)


async def cancel(surface: Surface, visit: Visit) -> Answer:
    """From any page of the way: the client learns that it was not allowed (R-SMART-022)."""
    if visit.pending is None or surface.authorizations is None:
        return flow.gone()
    return Go(await surface.authorizations.deny(visit.pending.id))


def _ready(surface: Surface, visit: Visit) -> tuple[Signed, Pending, Authorizations] | Go:
    if visit.signed is None or visit.pending is None or surface.authorizations is None:
        return flow.go(surface, visit, Step.SIGN_IN)
    step = after_sign_in(visit.signed.user, visit.signed.sign_in, visit.pending, surface.clock.now())
    if step is not Step.CONSENT:
        return flow.go(surface, visit, step)
    return visit.signed, visit.pending, surface.authorizations


def _ticked(visit: Visit, offered: tuple[Offer, ...]) -> Choice:
    def places(name: str) -> set[int]:
        return {offer.place for offer in offered if str(offer.place) in visit.form.all(name)}

    data = [offer.place for offer in offered if isinstance(offer, DataOffer)]
    return Choice(
        reading=places("read"),
        writing=places("write"),
        plain=places("plain"),
        types={place: visit.form.all(f"types-{place}") for place in data},
        categories={place: visit.form.all(f"categories-{place}") for place in data},
    )


def _values(
    words: Words, signed: Signed, pending: Pending, offered: tuple[Offer, ...], choice: Choice
) -> dict[str, object]:
    chosen = signed.sign_in.chosen
    return {
        "client_name": pending.client_name,
        "user": signed.user,
        "role": chosen.role if chosen else None,
        "patient": chosen.patient if chosen else None,
        "explained": explained(words, offered, choice),
    }
