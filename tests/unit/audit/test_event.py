"""What happened, as an AuditEvent that conforms to its BALP profile."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.audit.agents import Organization
from fhir_server.audit.balp import CONSENT_PROFILE, PROFILES, SHAPES, TOKEN_PROFILE
from fhir_server.audit.ehds import category
from fhir_server.audit.event import Happening, audit_event, draft, page_drafts
from fhir_server.engine.call import ANONYMOUS, Call, Interaction, Principal
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.audit.profiles import faults, published

SERVER = "https://fhir.clinic.example/fhir"
NOW = datetime(2026, 3, 14, 9, 26, 53, 589_799, tzinfo=UTC)
SURGEON = Principal(
    "u-1",
    "clinic-app",
    "https://issuer.example",
    "0af7",
    ("user/*.rs",),
    None,
    "Practitioner/3",
    "Dr Zoë",
    "practitioner",
)
BACK_END = Principal("booking", "booking", "https://issuer.example", "99-b7")
PHOTO = ResourceKey("Media", "m1")
BASIS = "Consent/c7/_history/2"
QUERIES = {Interaction.SEARCH_TYPE, Interaction.SEARCH_SYSTEM}
WITH_PROFILE = {kind: shape.profile for kind, shape in SHAPES.items() if shape.profile}
CLINIC = Organization("Clinique Ü", "urn:oid:1.2.3")
REFUSAL: dict[str, Any] = {
    "outcome": "4",
    "description": "A consent in force refuses this purpose.",
    "basis": BASIS,
    "organization": CLINIC,
}


def call(kind: Interaction = Interaction.READ, principal: Principal = SURGEON, **changes: Any) -> Call:
    written = Call(
        kind,
        principal,
        NOW,
        type="Media",
        id="m1",
        request_id="cc6d168e",
        client_address="203.0.113.7",
        request="GET https://fhir.clinic.example/fhir/Media?subject=Patient/7 HTTP/1.1\nAccept: application/fhir+json",
    )
    return replace(written, **changes)


def happening(kind: Interaction = Interaction.READ, principal: Principal = SURGEON, **changes: Any) -> Happening:
    key = None if kind in QUERIES else PHOTO
    return Happening(call(kind, principal), "0", "", key, 4, "7", None, NOW)._replace(**changes)


def event(what: Happening) -> Json:
    raw = audit_event("w1-17", what, server=SERVER)
    AuditEvent.model_validate_json(raw)
    decoded: Json = json.decode(raw)
    return decoded


def agent(written: Json, code: str) -> Json:
    [found] = [one for one in written["agent"] if one["type"]["coding"][0]["code"] == code]
    return dict(found)


def entities(written: Json, code: str) -> list[Json]:
    return [one for one in written.get("entity", []) if one["type"]["code"] == code]


def test_r_balp_005_the_checker_accepts_the_published_examples_and_rejects_a_wrong_client() -> None:
    examples = [found for found in published().values() if found["resourceType"] == "AuditEvent"]
    plain = [found for found in examples if "SAML" not in found["meta"]["profile"][0]]
    wrong = json.decode(json.encode(published()["AuditEvent/ex-auditBasicReadServer"]))
    wrong["agent"][0]["type"]["coding"][0]["code"] = "110153"

    assert len(plain) > 30
    assert all(faults(found, profile) == [] for found in plain for profile in found["meta"]["profile"])
    assert faults(wrong, f"{PROFILES}PatientRead")


@pytest.mark.parametrize("principal", [SURGEON, BACK_END], ids=["person", "system"])
@pytest.mark.parametrize("patient", ["7", None])
@pytest.mark.parametrize("kind", WITH_PROFILE)
def test_r_balp_001_002_a_success_conforms_to_the_profiles_that_it_claims(
    kind: Interaction, patient: str | None, principal: Principal
) -> None:
    written = event(happening(kind, principal, patient=patient, basis=BASIS))

    expected = f"{PROFILES}{'Patient' if patient else ''}{WITH_PROFILE[kind]}"
    assert written["meta"]["profile"] == [expected, TOKEN_PROFILE]
    assert [faults(written, profile) for profile in written["meta"]["profile"]] == [[], []]
    assert written["outcome"] == "0"
    assert written["subtype"][0]["code"] == kind.value


@pytest.mark.parametrize("kind", Interaction)
def test_every_interaction_has_an_event_of_its_own_code_and_action(kind: Interaction) -> None:
    written = event(happening(kind))

    assert written["id"] == "w1-17"
    assert written["recorded"] == "2026-03-14T09:26:53.589Z"
    assert written["type"]["code"] == "rest"
    assert written["subtype"] == [{"system": "http://hl7.org/fhir/restful-interaction", "code": kind.value}]
    assert written["action"] == SHAPES[kind].action
    assert written["source"]["observer"] == agent(written, SHAPES[kind].server[1])["who"]
    assert written["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"


@pytest.mark.parametrize("kind", [kind for kind, shape in SHAPES.items() if not shape.profile])
def test_an_interaction_that_balp_does_not_know_claims_only_the_token_profile(kind: Interaction) -> None:
    assert event(happening(kind))["meta"]["profile"] == [TOKEN_PROFILE]
    assert "meta" not in event(happening(kind, ANONYMOUS))


def test_a_success_without_the_resource_that_its_profile_asks_for_does_not_claim_it() -> None:
    written = event(happening(key=None))

    assert written["meta"]["profile"] == [TOKEN_PROFILE]


def test_r_balp_003_client_and_server_say_who_they_are_and_where() -> None:
    written = event(happening())

    client, server = agent(written, "110152"), agent(written, "110153")
    assert client["who"] == {"identifier": {"value": "clinic-app"}}
    assert client["network"] == {"address": "203.0.113.7", "type": "2"}
    assert client["requestor"] is False
    assert server["network"] == {"address": SERVER, "type": "5"}
    assert server["who"] == {"identifier": {"system": "urn:ietf:rfc:3986", "value": SERVER}}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("2001:db8::1", {"address": "2001:db8::1", "type": "2"}),
        ("fe80::1%eth0", {"address": "fe80::1%eth0", "type": "2"}),
        ("reception-pc", {"address": "reception-pc", "type": "1"}),
        ("", {"type": "2"}),
    ],
)
def test_an_address_is_said_to_be_what_it_is(address: str, network: Json) -> None:
    written = event(happening()._replace(call=call(client_address=address)))

    assert agent(written, "110152")["network"] == network
    assert faults(written, f"{PROFILES}PatientRead") == []


def test_r_balp_004_the_person_is_the_requestor_with_name_and_purpose() -> None:
    read = agent(event(happening()), "IRCP")
    written = agent(event(happening(Interaction.UPDATE)), "AUT")

    for person in (read, written):
        assert person["who"] == {"reference": "Practitioner/3"}
        assert person["name"] == "Dr Zoë"
        assert person["requestor"] is True
        assert person["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
        assert "network" not in person


def test_s_60_the_log_says_in_which_role_a_person_acted() -> None:
    nurse = replace(SURGEON, role="nurse")

    for kind, part in ((Interaction.READ, "IRCP"), (Interaction.UPDATE, "AUT"), (Interaction.SEARCH_TYPE, "IRCP")):
        [role] = agent(event(happening(kind, principal=nurse)), part)["role"]
        assert role == {"coding": [{"system": "urn:aesthetic-fhir-server:role", "code": "nurse"}]}
        assert "role" not in agent(event(happening(kind, principal=replace(SURGEON, role=None))), part)


def test_without_a_person_or_token_the_client_is_the_requestor() -> None:
    written = event(happening(principal=ANONYMOUS))

    assert len(written["agent"]) == 2
    assert agent(written, "110152")["requestor"] is True
    assert agent(event(happening(principal=BACK_END)), "110152")["requestor"] is False
    assert "name" not in agent(event(happening(principal=replace(SURGEON, name=None))), "IRCP")


def test_r_balp_012_014_the_token_id_travels_in_an_agent_of_its_own() -> None:
    used = agent(event(happening()), "UserOauthAgent")

    assert used["policy"] == ["urn:ietf:params:oauth:jti:0af7"]
    assert used["who"] == {"identifier": {"system": "https://issuer.example", "value": "u-1"}}
    odd = replace(SURGEON, token_id='a b"\ud800', subject="", issuer="")
    strange = agent(event(happening(principal=odd)), "UserOauthAgent")
    assert strange["policy"] == ["urn:ietf:params:oauth:jti:a%20b%22%3F"]
    assert "who" not in strange
    unissued = agent(event(happening(principal=replace(SURGEON, issuer=""))), "UserOauthAgent")
    assert unissued["who"] == {"identifier": {"value": "u-1"}}


def test_r_balp_006_007_resource_and_patient_are_named_the_resource_to_its_version() -> None:
    written = event(happening(Interaction.UPDATE))

    assert entities(written, "2")[0]["what"] == {"reference": "Media/m1/_history/4"}
    assert entities(written, "1")[0]["what"] == {"reference": "Patient/7"}
    assert entities(event(happening(version=None)), "2")[0]["what"] == {"reference": "Media/m1"}


def test_the_basis_of_an_access_is_named() -> None:
    by_consent = event(happening(basis=BASIS))
    by_rule = event(happening(basis="care:FR-CSP-L1110-4"))

    assert entities(by_consent, "Consent")[0]["what"] == {"reference": BASIS}
    assert entities(by_rule, "4")[0]["what"] == {"identifier": {"value": "care:FR-CSP-L1110-4"}}
    assert faults(by_rule, f"{PROFILES}PatientRead") == []


def test_r_balp_008_a_query_is_kept_as_it_came() -> None:
    [query] = entities(event(happening(Interaction.SEARCH_TYPE)), "2")

    assert base64.b64decode(query["query"]).decode() == call().request
    assert "what" not in query


def test_r_balp_008_a_query_never_holds_a_credential() -> None:
    lines = [
        "GET /fhir/Media?access_token=SECRET-1&subject=7 HTTP/1.1",
        "AUTHORIZATION : Bearer SECRET-2",
        "Accept: */*",
        "Cookie: session=SECRET-3",
        "X-API-Key: SECRET-4",
        "",
        "subject=7&client_secret=SECRET-5",
    ]
    searched = happening(Interaction.SEARCH_TYPE)._replace(call=call(Interaction.SEARCH_TYPE, request="\n".join(lines)))

    [query] = entities(event(searched), "2")

    kept = base64.b64decode(query["query"]).decode()
    assert "SECRET" not in kept
    assert kept.splitlines() == ["GET /fhir/Media?&subject=7 HTTP/1.1", "Accept: */*", "", "subject=7&"]


def test_r_balp_013_the_agents_of_the_comprehensive_form_are_there() -> None:
    written = event(happening())

    assert agent(written, "110152")["who"]["identifier"] == {"value": "clinic-app"}
    token = agent(written, "UserOauthAgent")
    assert token["who"]["identifier"] == {"system": "https://issuer.example", "value": "u-1"}
    assert token["policy"] == ["urn:ietf:params:oauth:jti:0af7"]
    assert agent(written, "IRCP")["name"] == "Dr Zoë"


def test_r_balp_001_category_and_origin_of_the_data_are_told_beside_what_the_profile_asks_for() -> None:
    for kind, profile in WITH_PROFILE.items():
        written = event(happening(kind, organization=CLINIC))

        assert faults(written, f"{PROFILES}Patient{profile}") == []
        assert {one["type"]: one["valueString"] for one in entities(written, "1")[0]["detail"]} == {
            "data-category": "http://hl7.org/fhir/resource-types|Media",
            "data-origin": "urn:oid:1.2.3",
        }
        assert agent(written, "PROV")["who"]["display"] == "Clinique Ü"


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        ("MedicationRequest", "http://loinc.org|57833-6"),
        ("DiagnosticReport", "http://loinc.org|11502-2"),
        ("Observation", "http://hl7.org/fhir/resource-types|Observation"),
    ],
)
def test_a_priority_category_is_told_by_its_loinc_code(type: str, expected: str) -> None:
    assert category(type) == expected


def test_a_clinic_without_an_id_is_named() -> None:
    written = event(happening(organization=Organization("Clinic")))

    assert agent(written, "PROV")["who"] == {"display": "Clinic"}
    assert entities(written, "1")[0]["detail"][1] == {"type": "data-origin", "valueString": "Clinic"}


def test_a_query_without_its_request_still_says_what_was_searched() -> None:
    inside_a_batch = happening(Interaction.SEARCH_TYPE)._replace(call=call(Interaction.SEARCH_TYPE, request=""))
    everywhere = happening(Interaction.SEARCH_SYSTEM)._replace(
        call=call(Interaction.SEARCH_SYSTEM, request="", type=None)
    )

    assert base64.b64decode(entities(event(inside_a_batch), "2")[0]["query"]) == f"GET {SERVER}/Media".encode()
    assert base64.b64decode(entities(event(everywhere), "2")[0]["query"]) == f"GET {SERVER}/".encode()


def test_r_balp_010_the_request_id_joins_what_belongs_together() -> None:
    [found] = entities(event(happening()), "XrequestId")

    assert found["what"] == {"identifier": {"value": "cc6d168e"}}
    assert entities(event(happening()._replace(call=call(request_id=""))), "XrequestId") == []


def test_an_operation_is_named() -> None:
    withdrawn = happening(Interaction.OPERATION)._replace(call=call(Interaction.OPERATION, operation="withdraw"))

    assert entities(event(withdrawn), "4") == [
        {
            "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-entity-type", "code": "4"},
            "name": "$withdraw",
        }
    ]


@pytest.mark.parametrize("outcome", ["4", "8", "12"])
@pytest.mark.parametrize("kind", Interaction)
def test_r_balp_005_a_failure_claims_no_profile_and_says_why(kind: Interaction, outcome: str) -> None:
    written = event(happening(kind, outcome=outcome, description="It is not there.", issue="not-found"))

    assert "meta" not in written
    assert written["outcome"] == outcome
    assert written["outcomeDesc"] == "It is not there."
    assert entities(written, "OperationOutcome")[0]["detail"] == [
        {"type": "code", "valueString": "not-found"},
        {"type": "diagnostics", "valueString": "It is not there."},
    ]


def test_a_failure_without_words_and_without_anything_named_is_still_an_event() -> None:
    written = event(Happening(call(Interaction.BATCH, ANONYMOUS, request_id=""), "8", "", None, None, None, None, NOW))

    assert "entity" not in written
    assert "outcomeDesc" not in written


def test_r_balp_016_a_refusal_by_consent_is_an_authzconsent_event() -> None:
    written = event(happening(**REFUSAL))

    assert written["meta"]["profile"] == [CONSENT_PROFILE]
    assert faults(written, CONSENT_PROFILE) == []
    assert written["outcome"] == "8"
    assert written["outcomeDesc"] == REFUSAL["description"]
    assert agent(written, "authserver")["who"] == written["source"]["observer"]
    assert agent(written, "PROV")["who"] == {
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"},
        "display": "Clinique Ü",
    }
    assert entities(written, "Consent")[0]["what"] == {"reference": BASIS}
    assert entities(written, "UserOauthAgent")[0]["what"] == {"identifier": {"value": "0af7"}}
    assert {one["type"]: one["valueString"] for one in entities(written, "Consent")[0]["detail"]} == {
        "request-id": "cc6d168e",
        "interaction": "read",
        "asked-for": "Media/m1/_history/4",
    }
    assert len(written["entity"]) == 3, "BALP closes the list: patient, consent, token"


def test_r_balp_016_a_refusal_needs_neither_resource_nor_token_nor_words_to_conform() -> None:
    bare = {**REFUSAL, "key": None, "description": "", "principal": replace(SURGEON, token_id="")}
    written = event(happening(Interaction.SEARCH_TYPE, **bare))

    assert faults(written, CONSENT_PROFILE) == []


@pytest.mark.parametrize(
    "missing",
    [{"patient": None}, {"basis": None}, {"basis": "rule:x"}, {"organization": None}, {"principal": BACK_END}],
)
def test_r_balp_016_a_refusal_that_lacks_a_part_is_a_plain_event(missing: dict[str, Any]) -> None:
    written = event(happening(**{**REFUSAL, **missing}))

    assert "meta" not in written
    assert written["type"]["code"] == "rest"
    assert written["outcome"] == "4"


def test_an_access_that_a_consent_permits_is_no_decision_event() -> None:
    assert event(happening(basis=BASIS, organization=CLINIC))["type"]["code"] == "rest"


def test_r_balp_009_a_page_has_one_event_for_each_patient_and_the_query_in_each() -> None:
    searched = happening(Interaction.SEARCH_TYPE, patient=None)
    seen = {"7": BASIS, "8": None, "9": "Consent/c9/_history/1"}

    drafts = page_drafts(searched, seen, server=SERVER)

    one_by_one = [searched._replace(patient=patient, basis=basis) for patient, basis in seen.items()]
    assert [found.event("w1-1", NOW) for found in drafts] == [
        audit_event("w1-1", single, server=SERVER) for single in one_by_one
    ]
    written = [json.decode(found.event("w1-1", NOW)) for found in drafts]
    assert [entities(one, "1")[0]["what"]["reference"] for one in written] == ["Patient/7", "Patient/8", "Patient/9"]
    assert all(faults(one, f"{PROFILES}PatientQuery") == [] for one in written)


def test_r_balp_009_a_page_without_patients_is_one_query_without_patient() -> None:
    [only] = page_drafts(happening(Interaction.SEARCH_TYPE, basis=BASIS), {}, server=SERVER)

    written = json.decode(only.event("w1-1", NOW))
    assert written["meta"]["profile"][0] == f"{PROFILES}Query"
    assert faults(written, f"{PROFILES}Query") == []
    assert entities(written, "1") == entities(written, "Consent") == []


def test_id_and_instant_are_given_last() -> None:
    waiting = draft(happening(), server=SERVER)
    later = NOW + timedelta(seconds=2)

    written = json.decode(waiting.event("w2-1", later.astimezone(timezone(timedelta(hours=5)))))

    assert (written["id"], written["recorded"]) == ("w2-1", "2026-03-14T09:26:55.589Z")


HOSTILE = st.text(st.characters(codec=None), min_size=1, max_size=40) | st.sampled_from(
    ['"', '","outcome":"0","x":"', "\\", '\\"}]}', "\x00", "\ud800", "\u2028", "}" * 10, "</script>"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(HOSTILE, min_size=9, max_size=9), st.sampled_from(list(Interaction)), st.sampled_from("048"))
def test_hostile_text_never_breaks_out_of_its_string(texts: list[str], kind: Interaction, outcome: str) -> None:
    a, b, c, d, e, f, g, h, i = texts
    principal = Principal(a, b, c, d, fhir_user=e, name=f, role=g)
    asked = Call(kind, principal, NOW, "Media", "m1", None, g, h, i, f"GET /{a}{b}", operation=c)
    one = Happening(asked, outcome, a, PHOTO, 4, b, f"Consent/{c}", NOW, Organization(d, e), e)
    plain = replace(asked, principal=Principal("a", "b", "c", "d", fhir_user="e", name="f", role="g"))
    other = Happening(replace(plain, purpose="P", request_id="h", client_address="h"), *_same(one))

    written, model = (
        json.decode(audit_event("w1-1", one, server=i)),
        json.decode(audit_event("w1-1", other, server="i")),
    )

    assert _shape(written) == _shape(model)


def _same(one: Happening) -> tuple[Any, ...]:
    return (one.outcome, "a", one.key, one.version, "b", "Consent/c", one.recorded, Organization("d", "e"), "e")


def _shape(value: Any) -> Any:
    """The structure with every string taken out: hostile text may change none of it."""
    if isinstance(value, dict):
        return {name: _shape(inner) for name, inner in value.items()}
    return [_shape(inner) for inner in value] if isinstance(value, list) else type(value)
