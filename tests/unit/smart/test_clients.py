"""Clients: what may be registered, and where answers to one may go."""

from dataclasses import replace

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from fhir_server.kernel.json import Json
from fhir_server.smart.clients.client import Client, Kind, decoded
from fhir_server.smart.clients.key_pair import new_private_jwk, public_set
from fhir_server.smart.clients.public_keys import choose, public_keys
from fhir_server.smart.clients.registration import RegistrationError, register
from fhir_server.smart.opaque import MOST_TEXT, hashed, matches, new_secret

APP = Client("app", Kind.PUBLIC, "App", ("patient/*.rs", "launch/patient"), ("https://app.example/cb?x=1",))
WEB = replace(APP, kind=Kind.SYMMETRIC)
PAIR = {alg: new_private_jwk(alg) for alg in ("RS384", "ES384")}
SIGNING = replace(APP, kind=Kind.ASYMMETRIC, jwks=public_set(PAIR["ES384"]))
SERVICE = Client("service", Kind.BACKEND, "Service", ("system/*.rs",), jwks=public_set(PAIR["RS384"]))


def test_a_good_registration_is_taken_as_it_is() -> None:
    for client in (APP, SIGNING, SERVICE, replace(SERVICE, jwks=None, jwks_uri="https://service.example/jwks")):
        registered = register(client)
        assert (registered.client, registered.secret) == (client, None)


def test_a_confidential_app_gets_a_secret_that_is_kept_as_a_hash() -> None:
    first, second = register(WEB), register(WEB)

    assert first.secret is not None
    assert first.secret != second.secret
    assert len(first.secret) >= 43
    assert first.client.knows(first.secret)
    assert not first.client.knows(first.secret + "x")
    assert not first.client.knows("")
    assert not APP.knows("")
    assert first.secret not in repr(first.client)
    assert first.secret.encode() not in first.client.encoded()


def test_a_client_is_written_and_read_whole() -> None:
    for client in (APP, register(WEB).client, SIGNING, SERVICE, replace(APP, disabled=True, revision=7)):
        assert decoded(client.client_id, client.revision, client.encoded()) == client


@pytest.mark.parametrize("scope", ["system/*.rs", "ehr/launch", "introspect", "nonsense", "patient/Nonsense.rs"])
def test_an_app_is_not_registered_with_a_back_ends_scope(scope: str) -> None:
    with pytest.raises(RegistrationError, match="Not a scope"):
        register(replace(APP, scopes=(scope,)))


@pytest.mark.parametrize("scope", ["patient/*.rs", "user/*.rs", "openid", "launch", "nonsense", "system/Patient.dus"])
def test_r_smart_053_a_back_end_is_not_registered_with_a_persons_scope(scope: str) -> None:
    with pytest.raises(RegistrationError, match="Not a scope"):
        register(replace(SERVICE, scopes=(scope,)))


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/cb",
        "https://app.example/cb#fragment",
        "https://user@app.example/cb",
        "https://app.example/cb with space",
        "https://*.app.example/cb",
        "https://app.example\\@evil.example/cb",
        "https:///cb",
        "//app.example/cb",
        "/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "app:/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://localhost.evil.example/cb",
        "http://192.168.0.1/cb",
        "https://app.example/" + "x" * 2000,
        "https://äpp.example/cb",
        "https://app.example/cb\n",
        "",
    ],
)
def test_r_smart_013_an_unsafe_redirect_uri_is_not_registered(uri: str) -> None:
    with pytest.raises(RegistrationError):
        register(replace(APP, redirect_uris=(uri,)))


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example",
        "https://app.example:8443/cb",
        "http://127.0.0.1:9876/cb",
        "http://[::1]/cb",
        "http://localhost:3000/",
        "com.example.app:/cb",
    ],
)
def test_a_safe_redirect_uri_is_registered(uri: str) -> None:
    register(replace(APP, redirect_uris=(uri,)))


def test_a_scheme_of_its_own_is_for_native_apps() -> None:
    with pytest.raises(RegistrationError):
        register(replace(WEB, redirect_uris=("com.example.app:/cb",)))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(APP, client_id="x"),
        replace(APP, client_id="a b"),
        replace(APP, client_id="../x"),
        replace(APP, client_id="x" * 65),
        replace(APP, name=""),
        replace(APP, name=" "),
        replace(APP, name="x" * 101),
        replace(APP, name="a\u202eb"),
        replace(APP, purposes=()),
        replace(APP, purposes=("treat",)),
        replace(APP, purposes=("TREAT", "BTG")),
        replace(APP, purposes=("ETREAT",)),
        replace(APP, scopes=()),
        replace(APP, redirect_uris=()),
        replace(APP, redirect_uris=tuple(f"https://app.example/{n}" for n in range(51))),
        replace(APP, launch_url="http://app.example/launch"),
        replace(APP, launch_url="com.example.app:/launch"),
        replace(APP, jwks_uri="https://app.example/jwks"),
        replace(APP, jwks=public_set(PAIR["ES384"])),
        replace(SERVICE, redirect_uris=("https://service.example/cb",)),
        replace(SERVICE, jwks=None),
        replace(SERVICE, jwks_uri="https://service.example/jwks"),
        replace(SERVICE, jwks=None, jwks_uri="http://service.example/jwks"),
        replace(SERVICE, jwks=None, jwks_uri="https://service.example/" + "x" * 2000),
        replace(SERVICE, jwks={}),
        replace(SERVICE, jwks={"keys": []}),
        replace(SERVICE, jwks={"keys": public_set(PAIR["ES384"])["keys"] * 2}),
    ],
)
def test_what_could_not_work_is_not_registered(wrong: Client) -> None:
    with pytest.raises(RegistrationError):
        register(wrong)


def jwk(key: RSAKey | ECKey | OctKey, **more: object) -> Json:
    """Members that are None are left out."""
    found = {**key.as_dict(private=False), "kid": "1", **more}
    return {name: value for name, value in found.items() if value is not None}


RSA, P384 = RSAKey.generate_key(2048), ECKey.generate_key("P-384")


@pytest.mark.parametrize("key", [jwk(RSA), jwk(P384), jwk(RSA, alg="RS384", use="sig"), jwk(P384, alg="ES384")])
def test_r_smart_077_keys_for_rs384_and_es384_are_used(key: Json) -> None:
    [found] = public_keys({"keys": [key]})

    assert found.kid == "1"
    assert found.alg == ("RS384" if key["kty"] == "RSA" else "ES384")


@pytest.mark.parametrize(
    "key",
    [
        jwk(RSA, alg="RS256"),
        jwk(RSA, alg="ES384"),
        jwk(RSA, alg="HS384"),
        jwk(RSA, alg="none"),
        jwk(RSA, use="enc"),
        jwk(RSA, kid=None),
        jwk(RSA, kid=""),
        jwk(RSA, kid=7),
        jwk(RSA, n="AQAB"),
        jwk(RSA, n=None),
        jwk(RSA, n="!"),
        jwk(ECKey.generate_key("P-256")),
        jwk(P384, x="AQAB"),
        jwk(P384, crv="P-256"),
        {"kty": "nonsense", "kid": "1"},
        {},
        "text",
    ],
)
def test_r_smart_082_a_key_that_is_good_for_nothing_here_is_left_out(key: object) -> None:
    assert public_keys({"keys": [key]}) == ()


@pytest.mark.parametrize("nonsense", [None, [], {}, {"keys": None}, {"keys": {}}, "text", 7])
def test_what_is_no_key_set_holds_no_keys(nonsense: object) -> None:
    assert public_keys(nonsense) == ()


@pytest.mark.parametrize("key", [PAIR["RS384"], PAIR["ES384"], {"kty": "oct", "k": "c2VjcmV0", "kid": "1"}])
def test_a_private_or_shared_key_is_not_registered(key: Json) -> None:
    with pytest.raises(RegistrationError, match="public keys only"):
        register(replace(SERVICE, jwks={"keys": [key]}))


def test_r_smart_082_by_kid_and_algorithm_one_key_is_left_or_none() -> None:
    keys = public_keys({"keys": [jwk(RSA), jwk(P384), jwk(P384, kid="2"), jwk(RSA, kid="2"), jwk(RSA, kid="2")]})

    assert [(found.kid, found.alg) for found in keys if found is choose(keys, found.kid, found.alg)] == [
        ("1", "RS384"),
        ("1", "ES384"),
        ("2", "ES384"),
    ]
    assert choose(keys, "2", "RS384") is None
    assert choose(keys, "3", "RS384") is None


def test_r_smart_013_a_redirect_uri_is_compared_byte_for_byte() -> None:
    assert APP.check_redirect_uri("https://app.example/cb?x=1")
    for other in (
        "https://app.example/cb",
        "https://app.example/cb?x=1&y=2",
        "https://app.example/cb?x=1#f",
        "https://app.example/cb/?x=1",
        "https://APP.example/cb?x=1",
        "HTTPS://app.example/cb?x=1",
        "https://app.example:443/cb?x=1",
        "https://app.example/x/../cb?x=1",
        "https://app.example/cb?x=%31",
        "https://app.example.evil.example/cb?x=1",
        " https://app.example/cb?x=1",
        "",
    ):
        assert not APP.check_redirect_uri(other), other
    assert APP.get_default_redirect_uri() is None  # type: ignore[func-returns-value]  # that there is none is the point


def test_a_native_app_on_loopback_has_any_port_where_none_is_registered() -> None:
    native = replace(APP, redirect_uris=("http://127.0.0.1/cb", "http://[::1]/cb", "http://127.0.0.1:9000/fixed"))

    for good in (
        "http://127.0.0.1/cb",
        "http://127.0.0.1:51234/cb",
        "http://[::1]:51234/cb",
        "http://127.0.0.1:9000/fixed",
    ):
        assert native.check_redirect_uri(good), good
    for bad in (
        "http://127.0.0.1:51234/other",
        "http://127.0.0.1:9001/fixed",
        "http://127.0.0.1/fixed",
        "http://127.0.0.1:51234@evil.example/cb",
        "http://127.0.0.1:evil/cb",
        "http://127.0.0.1:123456/cb",
        "http://localhost:51234/cb",
        "https://127.0.0.1:51234/cb",
        "http://127.0.0.2:51234/cb",
    ):
        assert not native.check_redirect_uri(bad), bad
    assert not replace(native, kind=Kind.SYMMETRIC).check_redirect_uri("http://127.0.0.1:51234/cb")


def test_a_kind_decides_which_grants_a_client_has() -> None:
    assert SERVICE.check_grant_type("client_credentials")
    assert not SERVICE.check_response_type("code")
    assert APP.check_response_type("code")
    for app in (APP, WEB, SIGNING):
        assert app.check_grant_type("authorization_code")
        assert app.check_grant_type("refresh_token")
        assert not app.check_grant_type("client_credentials")
        assert not app.check_response_type("token")
        assert not SERVICE.check_grant_type("authorization_code")


def test_allowed_scopes_are_those_asked_for_and_registered() -> None:
    assert APP.get_allowed_scope("patient/Patient.rs nonsense") == "patient/Patient.rs"
    assert APP.get_allowed_scope("nonsense") is None
    assert APP.get_allowed_scope(None) is None
    assert APP.get_client_id() == "app"


def test_r_smart_086_the_origins_of_a_client_are_those_of_its_pages() -> None:
    app = replace(
        APP,
        redirect_uris=("https://app.example:8443/a/b", "com.example.app:/cb"),
        launch_url="https://ehr.app.example/launch",
    )

    assert app.origins == {"https://app.example:8443", "https://ehr.app.example"}
    assert replace(app, disabled=True).origins == frozenset()
    assert SERVICE.origins == frozenset()


def test_an_opaque_text_is_recognised_by_its_hash_alone() -> None:
    secret = new_secret()

    assert matches(hashed(secret), secret)
    assert not matches(hashed(secret), secret[:-1])
    assert not matches(hashed("x" * 600), "x" * 600), "longer than anything of ours"
    assert MOST_TEXT < 600
    assert hashed("\ud800") != hashed("\ud801")
