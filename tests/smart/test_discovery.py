"""What the server says of its authorization: R-SMART-001 to -011, -068, R-IUA-003."""

import pytest

from tests.clinics import InProcess, read
from tests.smart.apps import App

pytestmark = pytest.mark.anyio

SMART = "/fhir/.well-known/smart-configuration"


@pytest.mark.parametrize("path", [SMART, f"{SMART}/", "/fhir/.well-known/smart-configuration"])
async def test_r_smart_001_the_configuration_is_there_without_a_token(clinic: InProcess, path: str) -> None:
    answer = await clinic.http.get(path)

    assert answer.status_code == 200
    assert read(answer)["capabilities"]


@pytest.mark.parametrize("accept", ["application/fhir+json", "application/json", "text/html", "*/*", "application/xml"])
async def test_r_smart_002_it_is_json_whatever_is_accepted(clinic: InProcess, accept: str) -> None:
    answer = await clinic.http.get(SMART, headers={"Accept": accept})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize(
    "path", [SMART, "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]
)
async def test_r_smart_003_every_url_is_absolute_and_the_external_one(clinic: InProcess, path: str) -> None:
    told = read(await clinic.http.get(path, headers={"Host": "inside.example"}))

    urls = {name: value for name, value in told.items() if name.endswith(("_endpoint", "_uri")) or name == "issuer"}
    assert len(urls) >= 6
    assert all(url.startswith(clinic.clinic.settings.base_url) for url in urls.values())


async def test_r_smart_004_endpoints_and_grants_are_listed(clinic: InProcess) -> None:
    told = read(await clinic.http.get(SMART))

    for name in ("authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        assert told[name]
    assert {"authorization_code", "client_credentials", "refresh_token"} <= set(told["grant_types_supported"])
    assert told["response_types_supported"] == ["code"]
    assert all(isinstance(capability, str) for capability in told["capabilities"])


async def test_r_smart_005_pkce_is_s256_and_nothing_else(clinic: InProcess) -> None:
    assert read(await clinic.http.get(SMART))["code_challenge_methods_supported"] == ["S256"]


async def test_r_smart_006_issuer_and_keys_are_there_because_openid_connect_is(clinic: InProcess) -> None:
    told = read(await clinic.http.get(SMART))

    assert "sso-openid-connect" in told["capabilities"]
    assert told["issuer"] == clinic.clinic.settings.base_url
    assert read(await clinic.http.get(told["jwks_uri"]))["keys"]


async def test_r_smart_007_signing_clients_find_what_they_may_sign_with(clinic: InProcess) -> None:
    told = read(await clinic.http.get(SMART))

    assert "private_key_jwt" in told["token_endpoint_auth_methods_supported"]
    assert set(told["token_endpoint_auth_signing_alg_values_supported"]) == {"RS384", "ES384"}


async def test_r_smart_008_every_scope_that_is_listed_is_granted_when_asked_for(
    clinic: InProcess, native: App, service: App
) -> None:
    listed = set(read(await clinic.http.get(SMART))["scopes_supported"])
    of_services = {scope for scope in listed if scope.startswith("system/")}
    of_people = listed - of_services - {"launch"}

    granted = (await native.tokens(" ".join(of_people), patient="p1"))["scope"].split()
    for_service = read(await service.credentials(" ".join(of_services)))["scope"].split()

    assert set(granted) == of_people
    assert set(for_service) == of_services


async def test_r_smart_009_the_capabilities_that_suites_ask_for_are_claimed(clinic: InProcess) -> None:
    told = read(await clinic.http.get(SMART))

    assert set(told["capabilities"]) >= {
        *("launch-standalone", "client-public", "client-confidential-symmetric", "client-confidential-asymmetric"),
        *("sso-openid-connect", "context-standalone-patient", "permission-offline", "permission-patient"),
        *("authorize-post", "permission-v1", "permission-v2", "launch-ehr", "context-ehr-patient"),
        *("context-ehr-encounter", "context-banner", "context-style", "permission-user", "permission-online"),
    }
    assert "context-standalone-encounter" not in told["capabilities"], "there is no page to pick one"


async def test_r_smart_010_the_statement_says_smart_on_fhir(clinic: InProcess) -> None:
    [rest] = read(await clinic.http.get("/fhir/metadata"))["rest"]

    [coding] = rest["security"]["service"][0]["coding"]
    assert coding["code"] == "SMART-on-FHIR"
    assert coding["system"] == "http://terminology.hl7.org/CodeSystem/restful-security-service"
    assert rest["security"]["cors"] is True


async def test_r_smart_011_clients_that_know_but_the_old_extension_find_the_endpoints(clinic: InProcess) -> None:
    [rest] = read(await clinic.http.get("/fhir/metadata"))["rest"]

    [extension] = rest["security"]["extension"]
    found = {one["url"]: one["valueUri"] for one in extension["extension"]}
    smart = read(await clinic.http.get(SMART))
    assert extension["url"] == "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
    assert found == {
        "authorize": smart["authorization_endpoint"],
        "token": smart["token_endpoint"],
        "introspect": smart["introspection_endpoint"],
        "revoke": smart["revocation_endpoint"],
    }


async def test_r_smart_068_openid_configuration_has_what_it_must_and_the_same_issuer(clinic: InProcess) -> None:
    told = read(await clinic.http.get("/.well-known/openid-configuration"))

    assert told.keys() >= {
        *("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported"),
        *("subject_types_supported", "id_token_signing_alg_values_supported", "userinfo_endpoint"),
    }
    assert told["id_token_signing_alg_values_supported"] == ["RS256"]
    assert told["issuer"] == read(await clinic.http.get(SMART))["issuer"]


async def test_r_iua_003_the_metadata_of_rfc_8414_are_there(clinic: InProcess) -> None:
    told = read(await clinic.http.get("/.well-known/oauth-authorization-server"))

    assert told["issuer"] == clinic.clinic.settings.base_url
    assert told["scopes_supported"]
    assert told["token_endpoint_auth_methods_supported"]
    assert told["authorization_response_iss_parameter_supported"] is True


@pytest.mark.parametrize("path", [SMART, "/.well-known/openid-configuration", "/auth/jwks", "/auth/style.json"])
async def test_a_description_is_not_written_to(clinic: InProcess, path: str) -> None:
    assert (await clinic.http.head(path)).status_code == 200
    assert (await clinic.http.post(path, data={})).status_code in {401, 404, 405}
