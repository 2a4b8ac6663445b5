"""EHR launch: what an EHR says when it opens an app, kept until the app's authorization takes it up, once.

SMART App Launch 2.2 "EHR launch" and "Launch context". R-SMART-019, -034 to -036.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from fhir_server.kernel import json
from fhir_server.kernel.identity import is_id, parse_reference
from fhir_server.kernel.json import Json

HANDLE, LIFETIME = "launch", timedelta(minutes=15)
"""The kind under which it waits, and how long."""

_MEMBERS = frozenset(
    {
        "client_id",
        "patient",
        "encounter",
        "fhirContext",
        "need_patient_banner",
        "smart_style_url",
        "intent",
        "tenant",
        "user",
    }
)
_URL = re.compile(r"https://[\x21-\x7e]+|http://(?:127\.0\.0\.1|\[::1\]|localhost)[:/][\x21-\x7e]*", re.ASCII)
_PEOPLE = frozenset({"Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Person"})
_MOST_CONTEXTS, _LONGEST = 20, 500
_OF_LAUNCH_ITSELF = frozenset({"Patient", "Encounter"})


class LaunchError(ValueError):
    """What is wrong with a launch, for whoever asked for it."""


@dataclass(frozen=True, slots=True)
class Launch:
    """For which app, about whom. `user`, where it is given, is the reference of the one person who may take it up.

    `context` holds the members of the token response that go to the app as they came.
    """

    client_id: str
    patient: str | None = None
    encounter: str | None = None
    user: str | None = None
    context: Json = field(default_factory=dict)

    def encoded(self) -> bytes:
        return json.encode(
            {
                "client_id": self.client_id,
                "patient": self.patient,
                "encounter": self.encounter,
                "user": self.user,
                "context": self.context,
            }
        )


def decoded(raw: bytes) -> Launch:
    found: Mapping[str, Any] = json.decode_trusted(raw)
    return Launch(found["client_id"], found["patient"], found["encounter"], found["user"], found["context"])


def launch_of(body: object, style_url: str) -> Launch:
    """From what an EHR posts. A banner is needed unless it says that it shows one; it may bring a style of its own."""
    if not isinstance(body, dict) or not body.keys() <= _MEMBERS:
        raise LaunchError(f"A launch is a JSON object with some of: {', '.join(sorted(_MEMBERS))}.")
    if not isinstance(body.get("client_id"), str):
        raise LaunchError("client_id names the app to be launched.")
    banner = body.get("need_patient_banner", True)
    if not isinstance(banner, bool):
        raise LaunchError("need_patient_banner is true or false.")
    context: Json = {"need_patient_banner": banner, "smart_style_url": _style(body.get("smart_style_url", style_url))}
    for name in ("intent", "tenant"):
        if name in body:
            context[name] = _text(body[name], name)
    if "fhirContext" in body:
        context["fhirContext"] = _contexts(body["fhirContext"])
    user = body.get("user")
    if user is not None and not _is_of(user, _PEOPLE):
        raise LaunchError("user is a reference such as Practitioner/3.")
    return Launch(body["client_id"], _id(body, "patient"), _id(body, "encounter"), user, context)


def _id(body: Json, name: str) -> str | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, str) and is_id(value)):
        raise LaunchError(f"{name} is an id, without its type.")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        raise LaunchError(f"{name} is a text of at most {_LONGEST} characters.")
    return value


def _style(value: object) -> str:
    if not isinstance(value, str) or not _URL.fullmatch(value):
        raise LaunchError("smart_style_url is an absolute https URL.")
    return value


def _contexts(value: object) -> list[Json]:
    """R-SMART-035: objects; each names something; Patient and Encounter only in another role than `launch`."""
    if not isinstance(value, list) or len(value) > _MOST_CONTEXTS:
        raise LaunchError(f"fhirContext is a list of at most {_MOST_CONTEXTS} objects.")
    for one in value:
        if not isinstance(one, dict) or not one.keys() & {"reference", "canonical", "identifier"}:
            raise LaunchError("Each of fhirContext has a reference, a canonical or an identifier.")
        role = one.get("role", "launch")
        if not isinstance(role, str) or not role:
            raise LaunchError("A role in fhirContext is not empty.")
        if "reference" in one and not _is_of(one["reference"], None):
            raise LaunchError("A reference in fhirContext is relative.")
        if role == "launch" and _is_of(one.get("reference"), _OF_LAUNCH_ITSELF):
            raise LaunchError("In the role launch, patient and encounter have members of their own.")
    return value


def _is_of(reference: object, types: frozenset[str] | None) -> bool:
    key = parse_reference(reference) if isinstance(reference, str) else None
    return key is not None and (types is None or key.type in types)
