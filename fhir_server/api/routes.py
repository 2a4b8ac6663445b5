"""The whole REST surface as a table: what answers at which address.

https://hl7.org/fhir/R4/http.html
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.api import (
    accounting,
    binaries,
    booking,
    capture_sessions,
    conditions,
    consents,
    copies,
    erasing,
    everything,
    exports,
    handing_over,
    health_links,
    histories,
    imports,
    injectables,
    instances,
    log_routes,
    matching,
    merging,
    photo_operations,
    rights,
    searches,
    subscription_events,
    summaries,
    systems,
    uploads,
    validate,
)
from fhir_server.api.surface import Surface
from fhir_server.engine.call import Call, Interaction

Do: TypeAlias = Callable[[], Awaitable[Response]]
Understand: TypeAlias = Callable[[Surface, Request, Call], Awaitable[Do]]
Methods: TypeAlias = Mapping[str, tuple[Interaction, Understand]]

TABLE: Mapping[str, Methods] = {
    "/fhir": {
        "GET": (Interaction.SEARCH_SYSTEM, searches.search),
        "POST": (Interaction.TRANSACTION, systems.bundle),
    },
    "/fhir/_search": {"POST": (Interaction.SEARCH_SYSTEM, searches.search_by_post)},
    "/fhir/_history": {"GET": (Interaction.HISTORY_SYSTEM, histories.history)},
    "/fhir/$export": {
        "GET": (Interaction.OPERATION, exports.kick_off),
        "POST": (Interaction.OPERATION, exports.kick_off),
    },
    "/fhir/$import": {"POST": (Interaction.OPERATION, imports.take)},
    "/fhir/Patient/$export": {
        "GET": (Interaction.OPERATION, exports.kick_off),
        "POST": (Interaction.OPERATION, exports.kick_off),
    },
    "/fhir/Group/{id}/$export": {
        "GET": (Interaction.OPERATION, exports.kick_off),
        "POST": (Interaction.OPERATION, exports.kick_off),
    },
    "/fhir/$export-status/{job}": {
        "GET": (Interaction.OPERATION, exports.status),
        "DELETE": (Interaction.OPERATION, exports.end),
    },
    "/fhir/$export-file/{job}/{file}": {"GET": (Interaction.OPERATION, exports.file)},
    "/fhir/$compliance-report": {"GET": (Interaction.OPERATION, accounting.compliance_report)},
    "/fhir/$regulator-export": {"GET": (Interaction.OPERATION, accounting.regulator_export)},
    "/fhir/$reversibility-export": {"POST": (Interaction.OPERATION, handing_over.reversibility_export)},
    "/fhir/Task/{id}/$breach-scope": {"GET": (Interaction.OPERATION, accounting.breach_scope)},
    "/fhir/Task/{id}/$breach-notification": {"GET": (Interaction.OPERATION, accounting.breach_notification)},
    "/fhir/Task/{id}/$breach-letters": {"POST": (Interaction.OPERATION, accounting.breach_letters)},
    "/fhir/metadata": {"GET": (Interaction.CAPABILITIES, systems.capabilities)},
    "/fhir/{type}/_history": {"GET": (Interaction.HISTORY_TYPE, histories.history)},
    "/fhir/{type}/_search": {"POST": (Interaction.SEARCH_TYPE, searches.search_by_post)},
    "/fhir/{type}/$validate": {"POST": (Interaction.OPERATION, validate.validate)},
    "/fhir/{type}/{id}/$validate": {
        "GET": (Interaction.OPERATION, validate.validate_stored),
        "POST": (Interaction.OPERATION, validate.validate),
    },
    "/fhir/Appointment/$find": {
        "GET": (Interaction.OPERATION, booking.find),
        "POST": (Interaction.OPERATION, booking.find),
    },
    "/fhir/Appointment/$hold": {"POST": (Interaction.OPERATION, booking.hold)},
    "/fhir/Appointment/$book": {"POST": (Interaction.OPERATION, booking.book)},
    "/fhir/Appointment/{id}/$cancel": {"POST": (Interaction.OPERATION, booking.cancel)},
    "/fhir/Patient/$merge": {"POST": (Interaction.OPERATION, merging.merge)},
    "/fhir/Patient/$unmerge": {"POST": (Interaction.OPERATION, merging.unmerge)},
    "/fhir/Patient/$match": {"POST": (Interaction.OPERATION, matching.match_patient)},
    "/fhir/Patient/{id}/$everything": {
        "GET": (Interaction.OPERATION, everything.patient_everything),
        "POST": (Interaction.OPERATION, everything.patient_everything),
    },
    "/fhir/Patient/$summary": {
        "GET": (Interaction.OPERATION, summaries.summary),
        "POST": (Interaction.OPERATION, summaries.summary),
    },
    "/fhir/Patient/{id}/$summary": {
        "GET": (Interaction.OPERATION, summaries.summary),
        "POST": (Interaction.OPERATION, summaries.summary),
    },
    "/fhir/Subscription/{id}/$events": {"GET": (Interaction.OPERATION, subscription_events.since)},
    "/fhir/Consent/$sign": {"POST": (Interaction.OPERATION, consents.sign)},
    "/fhir/Consent/$decide": {"GET": (Interaction.OPERATION, consents.decide)},
    "/fhir/Consent/$consent-periods": {"GET": (Interaction.OPERATION, consents.periods)},
    "/fhir/Consent/{id}/$withdraw": {"POST": (Interaction.OPERATION, consents.withdraw_consent)},
    "/fhir/Patient/{id}/$break-glass": {"POST": (Interaction.OPERATION, systems.break_glass)},
    "/fhir/AuditEvent/$proof": {"GET": (Interaction.OPERATION, log_routes.proof_of_growth)},
    "/fhir/AuditEvent/{id}/$proof": {"GET": (Interaction.OPERATION, log_routes.proof_of_event)},
    "/fhir/Patient/{id}/$access-log": {"GET": (Interaction.OPERATION, log_routes.access_log)},
    "/fhir/Medication/$lot-patients": {"GET": (Interaction.OPERATION, injectables.lot_patients)},
    "/fhir/Medication/$lot-recall": {"POST": (Interaction.OPERATION, injectables.lot_recall)},
    "/fhir/Patient/{id}/$lots": {"GET": (Interaction.OPERATION, injectables.lots_of_patient)},
    "/fhir/Procedure/{id}/$insurance-check": {"GET": (Interaction.OPERATION, injectables.insurance_check)},
    "/fhir/Procedure/{id}/$professional-check": {"GET": (Interaction.OPERATION, injectables.professional_check)},
    "/fhir/Procedure/{id}/$evidence-pack": {"POST": (Interaction.OPERATION, injectables.evidence_pack)},
    "/fhir/Media/$timeline": {"GET": (Interaction.OPERATION, photo_operations.in_order)},
    "/fhir/Media/$capture-session": {"POST": (Interaction.OPERATION, capture_sessions.begin)},
    "/fhir/Media/{id}/$rendition": {"POST": (Interaction.OPERATION, photo_operations.rendition)},
    "/fhir/Media/{id}/$propose-areas": {"POST": (Interaction.OPERATION, photo_operations.propose_areas)},
    "/fhir/Media/{id}/$compare": {"POST": (Interaction.OPERATION, photo_operations.compare)},
    "/fhir/Media/{id}/$reassign": {"POST": (Interaction.OPERATION, photo_operations.reassign)},
    "/fhir/Media/{id}/$share": {"POST": (Interaction.OPERATION, photo_operations.share)},
    "/fhir/Media/{id}/$upload": {
        "GET": (Interaction.OPERATION, uploads.state),
        "POST": (Interaction.OPERATION, uploads.begin),
        "PATCH": (Interaction.OPERATION, uploads.append),
        "DELETE": (Interaction.OPERATION, uploads.cancel),
    },
    "/fhir/Binary": {
        "GET": (Interaction.SEARCH_TYPE, searches.search),
        "POST": (Interaction.CREATE, uploads.create_binary),
        "PUT": (Interaction.UPDATE, conditions.update),
        "PATCH": (Interaction.PATCH, conditions.patch),
        "DELETE": (Interaction.DELETE, conditions.delete),
    },
    "/fhir/Patient/{id}/$erase": {"POST": (Interaction.OPERATION, erasing.erase)},
    "/fhir/Patient/{id}/$export-my-data": {"GET": (Interaction.OPERATION, copies.export_my_data)},
    "/fhir/Patient/{id}/$health-link": {
        "POST": (Interaction.OPERATION, health_links.make),
        "DELETE": (Interaction.OPERATION, health_links.end),
    },
    "/fhir/Patient/{id}/$rights-request": {"POST": (Interaction.OPERATION, rights.open_request)},
    "/fhir/Task/{id}/$rights-step": {"POST": (Interaction.OPERATION, rights.take_step)},
    "/fhir/Task/{id}/$fulfil": {"POST": (Interaction.OPERATION, rights.fulfil)},
    "/fhir/Binary/{id}": {
        "GET": (Interaction.READ, binaries.read_binary),
        "PUT": (Interaction.UPDATE, instances.update),
        "PATCH": (Interaction.PATCH, instances.patch),
        "DELETE": (Interaction.DELETE, instances.delete),
    },
    "/fhir/{type}/{id}/_history": {"GET": (Interaction.HISTORY_INSTANCE, histories.history)},
    "/fhir/{type}/{id}/_history/{version}": {"GET": (Interaction.VREAD, instances.read)},
    "/fhir/{type}/{id}/{member}": {"GET": (Interaction.SEARCH_TYPE, searches.search)},
    "/fhir/{type}/{id}/{member}/_search": {"POST": (Interaction.SEARCH_TYPE, searches.search_by_post)},
    "/fhir/{type}/{id}": {
        "GET": (Interaction.READ, instances.read),
        "PUT": (Interaction.UPDATE, instances.update),
        "PATCH": (Interaction.PATCH, instances.patch),
        "DELETE": (Interaction.DELETE, instances.delete),
    },
    "/fhir/{type}": {
        "GET": (Interaction.SEARCH_TYPE, searches.search),
        "POST": (Interaction.CREATE, instances.create),
        "PUT": (Interaction.UPDATE, conditions.update),
        "PATCH": (Interaction.PATCH, conditions.patch),
        "DELETE": (Interaction.DELETE, conditions.delete),
    },
}
"""Rows whose parts are literal stand before those with a name in braces in the same place."""

OPEN = frozenset({Interaction.CAPABILITIES})
"""What is answered without a token: a description of the server, nothing of the clinic (R-SMART-010)."""

NATIVE = frozenset(
    {
        *(binaries.read_binary, copies.export_my_data, exports.file),
        *(injectables.evidence_pack, accounting.regulator_export, handing_over.reversibility_export),
    }
)
"""What may answer in another format than FHIR's JSON."""

PACKED = NATIVE - {exports.file}
"""What is mostly packed already, and would only grow by it."""
