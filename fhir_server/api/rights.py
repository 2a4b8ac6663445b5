"""The operations on requests for a right: $rights-request, $rights-step and $fulfil, each with a dry run.

GDPR Art. 12, 15 to 21; https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import Awaitable, Callable, Collection, Iterator
from datetime import date
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import json_body
from fhir_server.api.erasing import classes
from fhir_server.api.given import Given
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.consent.purposes import BY_CODE, from_act_reason
from fhir_server.engine.call import Call
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.privacy.fulfilling import Fulfilled
from fhir_server.privacy.fulfilling import Given as Handed
from fhir_server.privacy.handling import STEPS, Handled, Opening, Step, require_complete
from fhir_server.privacy.rights import ARTICLES, CHANNELS, due_of

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_BYTES = 64 * 1024
_MOST_TEXT = 4_000
_LIFT = "lift"
_CODES, _TEXTS, _DAYS = ("valueCode",), ("valueString",), ("valueDate",)


async def open_request(surface: Surface, request: Request, call: Call) -> Do:
    """`POST Patient/[id]/$rights-request`: somebody uses a right; a Task with the last day to answer."""
    given = await _given(request, {"right", "received", "channel", "reason", "dryRun"})
    asked = Opening(
        _one_of("right", given.one("right", _CODES), ARTICLES),
        _day(given, "received"),
        _one_of("channel", given.one("channel", _CODES, "app"), CHANNELS),
        _text(given, "reason"),
        given.flag("dryRun"),
    )

    async def do() -> Response:
        return _handled(await surface.rights.handling.open(call, asked), made=not asked.dry_run)

    return do


async def take_step(surface: Surface, request: Request, call: Call) -> Do:
    """`POST Task/[id]/$rights-step`: who asks was checked, something is asked back, it is extended, refused, lifted."""
    given = await _given(request, {"step", "about", "because", "informed", "dryRun"})
    name = _one_of("step", given.one("step", _CODES), {*STEPS, _LIFT})
    because, dry_run, informed = _text(given, "because"), given.flag("dryRun"), _day(given, "informed")
    step = Step(name, given.one("about", _CODES, ""), because, dry_run)
    require_complete(step)
    if name == _LIFT and informed is None:
        raise UnprocessableError("informed is the day on which the person was told.", expression="informed")

    async def do() -> Response:
        if informed is not None and name == _LIFT:
            return _handled(await surface.rights.lifting.lift(call, because, informed, dry_run=dry_run))
        return _handled(await surface.rights.handling.step(call, step))

    return do


async def fulfil(surface: Surface, request: Request, call: Call) -> Do:
    """`POST Task/[id]/$fulfil`: what was asked for is done, who received data is to be told, a receipt is filed."""
    given = await _given(request, {"because", "resource", "purpose", "archive", "channel", "dryRun"})
    channel = given.one("channel", _CODES, "")
    handed = Handed(
        given.flag("dryRun"),
        _text(given, "because"),
        given.references("resource"),
        tuple(one if one in BY_CODE else from_act_reason(one) for one in given.several("purpose", _CODES)),
        _digest(given.one("archive", _TEXTS, "")),
        _one_of("channel", channel, CHANNELS) if channel else "",
    )

    async def do() -> Response:
        return outgoing.json_answer(_parameters(_fulfilled(await surface.rights.fulfilling.fulfil(call, handed))))

    return do


async def _given(request: Request, known: set[str]) -> Given:
    refuse_conditions(request)
    return Given(await json_body(request, _MOST_BYTES), known)


def _handled(handled: Handled, *, made: bool = False) -> Response:
    said: list[Json] = [{"name": "dryRun", "valueBoolean": handled.key is None}]
    if handled.key is not None:
        said.append({"name": "request", "valueReference": {"reference": str(handled.key)}})
    said.append({"name": "status", "valueCode": handled.task["status"]})
    if due := due_of(handled.task):
        said.append({"name": "due", "valueDate": due})
    return outgoing.json_answer(_parameters(iter(said)), status=201 if made else 200)


def _fulfilled(done: Fulfilled) -> Iterator[Json]:
    yield {"name": "dryRun", "valueBoolean": done.receipt is None}
    yield {"name": "right", "valueCode": done.right}
    if done.plan is not None:
        yield from classes(done.plan)
    for code, text in done.outcome if done.plan is None else ():
        yield {"name": "outcome", "part": [{"name": code, "valueString": text}]}
    for client in done.told.clients:
        yield {"name": "recipient", "valueString": client}
    if not done.told.whole:
        yield {"name": "recipientsAreMore", "valueBoolean": True}
    if done.receipt is not None:
        yield {"name": "receipt", "valueReference": {"reference": str(done.receipt)}}


def _parameters(said: Iterator[Json]) -> Json:
    return {"resourceType": "Parameters", "parameter": list(said)}


def _one_of(name: str, code: str, known: Collection[str]) -> str:
    if code not in known:
        raise UnprocessableError(f"{name} is one of {', '.join(sorted(known))}.", expression=name)
    return code


def _text(given: Given, name: str) -> str:
    text = given.one(name, _TEXTS, "").strip()
    if len(text) > _MOST_TEXT:
        raise UnprocessableError(f"{name} has at most {_MOST_TEXT} characters.", expression=name)
    return text


def _day(given: Given, name: str) -> date | None:
    text = given.one(name, _DAYS, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UnprocessableError(f"{name} is a day: 2026-03-14.", expression=name) from None


def _digest(text: str) -> str:
    """A SHA-256 in hexadecimal; empty for none."""
    is_one = len(text) == len("0" * 64) and all(one in "0123456789abcdef" for one in text)
    if text and not is_one:
        raise UnprocessableError("archive is a SHA-256 in small hexadecimal digits.", expression="archive")
    return text
