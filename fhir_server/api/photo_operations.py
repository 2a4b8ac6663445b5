"""Operations on photos, of one Media but for `Media/$timeline`: renditions, proposals, comparing, reassigning, sharing.

https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.body import json_body, optional_json_body, query_pairs
from fhir_server.api.given import Given
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.preferences import preferences_of
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.kernel.clock import instant
from fhir_server.kernel.errors import InvalidRequestError, UnprocessableError
from fhir_server.media.drawing import Area
from fhir_server.media.renditions import Wish
from fhir_server.media.timeline import Wanted, timeline
from fhir_server.smart.access import may_read

Do: TypeAlias = Callable[[], Awaitable[Response]]

_MOST_BYTES = 64 * 1024
_CREATED = 201
_NAIVE = datetime.min  # noqa: DTZ901  stands for what is no instant
_NO_PARAMETERS = {"resourceType": "Parameters"}
_EDGES = ("left", "top", "width", "height")
_ASKED = {"patient": "patient", "view": "view", "body-site": "body_site", "series": "series", "timepoint": "timepoint"}


async def rendition(surface: Surface, request: Request, call: Call) -> Do:
    """`kind`, and as that needs it `text` or any number of `area`. 201 with the new Media."""
    refuse_conditions(request)
    asked = preferences_of(request)
    given = Given(await json_body(request, _MOST_BYTES), ("kind", "text", "area"))
    areas = tuple(Area(**found) for found in given.parts("area", _EDGES))
    wish = Wish(given.one("kind", ("valueCode", "valueString")), given.one("text", ("valueString",), ""), areas)

    async def do() -> Response:
        stored = await surface.photos.renditions.make(call, wish)
        return outgoing.written(stored, surface.base, asked, readable=may_read(call, stored))

    return do


async def propose_areas(surface: Surface, request: Request, call: Call) -> Do:
    """Parameters with any number of `area`, as `$rendition` takes them."""
    refuse_conditions(request)
    Given(await optional_json_body(request, _MOST_BYTES) or _NO_PARAMETERS, ())

    async def do() -> Response:
        found = await surface.photos.proposing.propose(call)
        areas = [
            {"name": "area", "part": [{"name": edge, "valueInteger": getattr(area, edge)} for edge in _EDGES]}
            for area in found
        ]
        return outgoing.json_answer({"resourceType": "Parameters", **({"parameter": areas} if areas else {})})

    return do


async def compare(surface: Surface, request: Request, call: Call) -> Do:
    """`other`, a reference to the second Media. Parameters with the comparison and its score."""
    refuse_conditions(request)
    given = Given(await json_body(request, _MOST_BYTES), ("other",))
    other = given.reference("other", "Media", surface.base)

    async def do() -> Response:
        found = await surface.photos.comparing.compare(call, other)
        parts = [{"name": "comparison", "resource": found.media.resource}]
        parts.append({"name": "comparability", "resource": found.score.resource})
        return outgoing.json_answer({"resourceType": "Parameters", "parameter": parts})

    return do


async def reassign(surface: Surface, request: Request, call: Call) -> Do:
    """`patient`, a reference to the right one, and `reason`. 201 with the Media in that patient's file."""
    refuse_conditions(request)
    asked = preferences_of(request)
    given = Given(await json_body(request, _MOST_BYTES), ("patient", "reason"))
    patient, reason = given.reference("patient", "Patient", surface.base), given.one("reason", ("valueString",))

    async def do() -> Response:
        stored = await surface.photos.reassigning.reassign(call, patient, reason)
        return outgoing.written(stored, surface.base, asked, readable=may_read(call, stored))

    return do


async def share(surface: Surface, request: Request, call: Call) -> Do:
    """`channel`, and `until`, an instant. 201 Parameters: a link for that channel, a code for another way."""
    refuse_conditions(request)
    given = Given(await json_body(request, _MOST_BYTES), ("channel", "until"))
    channel = given.one("channel", ("valueCode",))
    until = _moment(given.one("until", ("valueInstant",), ""))

    async def do() -> Response:
        shared = await surface.photos.sharing.share(call, channel, until)
        said = [
            {"name": "link", "valueUrl": f"{surface.base.removesuffix('/fhir')}/auth/shared?link={shared.link}"},
            {"name": "code", "valueString": shared.code},
            {"name": "until", "valueInstant": instant(shared.share.until)},
            {"name": "share", "valueReference": {"reference": str(shared.share.key)}},
        ]
        return outgoing.json_answer({"resourceType": "Parameters", "parameter": said}, _CREATED)

    return do


def _moment(said: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(said) if said else None
    except ValueError:
        found = _NAIVE
    if found is not None and found.tzinfo is None:
        raise UnprocessableError("until is an instant with its zone.", expression="Parameters.parameter")
    return found


async def in_order(surface: Surface, request: Request, call: Call) -> Do:
    """`GET Media/$timeline?patient=…`: a searchset, oldest first."""
    pairs = query_pairs(request)
    if len(dict(pairs)) != len(pairs) or not dict(pairs).keys() <= _ASKED.keys():
        raise InvalidRequestError(f"A timeline has the parameters {', '.join(_ASKED)}, each once.")
    said = {_ASKED[name]: value for name, value in pairs}
    wanted = Wanted(said.pop("patient", "").removeprefix("Patient/"), **said)

    async def do() -> Response:
        found = await timeline(surface.engine, call, wanted)
        entries = [
            {"fullUrl": f"{surface.base}/{one.key}", "resource": one.resource, "search": {"mode": "match"}}
            for one in found
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return outgoing.json_answer({**bundle, **({"entry": entries} if entries else {})})

    return do
