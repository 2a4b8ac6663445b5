"""What a clinic shows of itself: the compliance report, the regulator's pack, and the operations on a breach.

GDPR Art. 5(2), 33, 34; M5. https://hl7.org/fhir/R4/operations.html
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import outgoing
from fhir_server.api.preconditions import refuse_conditions
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call
from fhir_server.kernel.json import Json
from fhir_server.privacy.breaches.desk import patients_of, told
from fhir_server.privacy.breaches.reach import numbers
from fhir_server.privacy.register.compliance import worst

Do: TypeAlias = Callable[[], Awaitable[Response]]

_ZIP = "application/zip"


async def compliance_report(surface: Surface, request: Request, call: Call) -> Do:
    """`GET $compliance-report`: each duty with its state and evidence."""

    async def do() -> Response:
        duties = await surface.accounts.surveying.report(replace(call, type="Basic"))
        parts = [
            {
                "name": "duty",
                "part": [
                    {"name": "name", "valueCode": duty.name},
                    {"name": "section", "valueCode": duty.section},
                    {"name": "basis", "valueString": duty.basis},
                    {"name": "state", "valueCode": duty.state},
                    {"name": "evidence", "valueString": duty.evidence},
                ],
            }
            for duty in duties
        ]
        return outgoing.json_answer(_parameters([{"name": "state", "valueCode": worst(duties)}, *parts]))

    return do


async def regulator_export(surface: Surface, request: Request, call: Call) -> Do:
    """`GET $regulator-export`: a ZIP of JSON, CSV, FHIR and PDF, with a signed manifest."""

    async def do() -> Response:
        pack = await surface.accounts.regulator.export(replace(call, type="Basic"))
        named = {"Content-Disposition": 'attachment; filename="regulator-pack.zip"'}
        return Response(pack, media_type=_ZIP, headers=named)

    return do


async def breach_scope(surface: Surface, request: Request, call: Call) -> Do:
    """`GET Task/[id]/$breach-scope`: patients that were reached, and that could have been."""

    async def do() -> Response:
        scope = await surface.accounts.breaches.scope(call)
        counts = [{"name": name, "valueUnsignedInt": count} for name, count in numbers(scope).items()]
        because = [{"name": "because", "valueString": said} for said in scope.because]
        patients = [
            {
                "name": name,
                "part": [
                    {"name": "patient", "valueReference": {"reference": f"Patient/{patient}"}},
                    {"name": "records", "valueUnsignedInt": count},
                ],
            }
            for name, patient, count in patients_of(scope)
        ]
        intelligible = {"name": "intelligible", "valueBoolean": scope.intelligible}
        events = {"name": "events", "valueUnsignedInt": scope.confirmed.events}
        return outgoing.json_answer(_parameters([intelligible, events, *counts, *because, *patients]))

    return do


async def breach_notification(surface: Surface, request: Request, call: Call) -> Do:
    """`GET Task/[id]/$breach-notification`: what the authority is told."""

    async def do() -> Response:
        notification = await surface.accounts.breaches.notification(call)
        content = told(notification, surface.accounts.breaches.authority, call.instant)
        return outgoing.json_answer(
            _parameters([{"name": name, f"value{type}": value} for name, type, value in content])
        )

    return do


async def breach_letters(surface: Surface, request: Request, call: Call) -> Do:
    """`POST Task/[id]/$breach-letters`: a Communication for each patient whom it reached."""
    refuse_conditions(request)

    async def do() -> Response:
        letters = await surface.accounts.breaches.letters(call)
        return outgoing.json_answer(
            _parameters([{"name": "letter", "valueReference": {"reference": str(letter)}} for letter in letters])
        )

    return do


def _parameters(parts: list[Json]) -> Json:
    """FHIR has no empty arrays."""
    return {"resourceType": "Parameters", **({"parameter": parts} if parts else {})}
