"""Settings: declared once, read once, refused loudly; and no listener that speaks in plain across a network."""

import datetime as dt
import re
import socket
import ssl
import threading
import warnings
from dataclasses import FrozenInstanceError
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.settings import VARIABLES, Settings, transport
from fhir_server.variables import SettingsError

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
EVERYWHERE = "0.0.0.0"  # noqa: S104  refused or allowed below, never bound


def read(**variables: str) -> Settings:
    return Settings.from_environment({f"FHIR_SERVER_{name}": text for name, text in variables.items()})


def refusal(**variables: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(**variables)
    return str(refused.value)


def transport_refusal(**variables: str) -> str:
    with pytest.raises(SettingsError) as refused:
        transport(read(**variables))
    return str(refused.value)


def test_nothing_set_is_a_demo_on_loopback() -> None:
    settings = Settings.from_environment({"PATH": "/bin", "HOME": "/"})

    assert settings == Settings()
    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.root_key_file == Path(".data/keys/root.json")
    assert settings.mongo_uri == ""
    assert transport(settings).hsts is False


def test_every_kind_of_variable_is_read() -> None:
    settings = read(
        DATA_DIR="/var/lib/clinic",
        MONGO_URI="mongodb://mongo:27017/?replicaSet=rs0",
        PORT="8443",
        BEHIND_TLS_PROXY="Yes",
        BASE_URL="https://fhir.clinic.example/",
        LOG_LEVEL="WARNING",
        WORKER_INTERVAL="0.5",
        ROOT_KEY_FILE="/media/key/root.json",
        TLS_KEY="",
    )

    assert settings.data_dir == Path("/var/lib/clinic")
    assert settings.root_key_file == Path("/media/key/root.json")
    assert settings.port == 8443
    assert settings.behind_tls_proxy is True
    assert settings.base_url == "https://fhir.clinic.example"
    assert settings.log_level == "warning"
    assert settings.worker_interval == 0.5
    assert settings.tls_key is None


def test_an_override_stands_above_the_environment_and_none_is_no_override() -> None:
    environment = {"FHIR_SERVER_PORT": "9000", "FHIR_SERVER_DATA_DIR": "a", "FHIR_SERVER_MONGO_URI": "mongodb://m"}

    settings = Settings.from_environment(environment, port=9001, data_dir=Path("b"), host=None, mongo_uri="")

    assert (settings.port, settings.data_dir, settings.host, settings.mongo_uri) == (9001, Path("b"), "127.0.0.1", "")
    assert settings.base_url == "http://127.0.0.1:9001"
    assert settings.root_key_file == Path("b/keys/root.json")


def test_an_override_that_is_no_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match="FHIR_SERVER_PROT is not a setting; FHIR_SERVER_PORT is"):
        Settings.from_environment({}, prot=1)


@pytest.mark.parametrize(
    "name",
    ["ENCRYPTION", "SEALED", "AUDIT", "AUDIT_LOG", "SECOND_FACTOR", "MFA", "STAFF_BY_PASSWORD", "CONSENT", "ROLES"],
)
@pytest.mark.parametrize("value", ["off", "false", "0"])
def test_s_10_no_safeguard_can_be_turned_off_and_who_tries_gets_no_server(name: str, value: str) -> None:
    assert f"FHIR_SERVER_{name} is not a setting" in refusal(**{name: value})


def test_s_10_what_can_be_switched_is_known_and_no_safeguard() -> None:
    switches = {variable.field for variable in VARIABLES if isinstance(getattr(Settings(), variable.field), bool)}

    assert switches == {
        "behind_tls_proxy",  # where it is not, a listener for others has a certificate
        "conditional_delete_several",
        "eu_provider_required",  # what the report calls red; it opens nothing
        "notify_loopback",
        "patients_by_password",  # patients: staff never
        "refuse_missing_references",
        "require_training",  # off, staff see photographs as without it; roles, ties and consent hold either way
        "self_made_ties",  # for a clinic of one
    }


def test_every_fault_is_named_at_once() -> None:
    complaint = refusal(PROT="1", PORT="many", BEHIND_TLS_PROXY="perhaps", LOG_LEVEL="loud", WORKER_INTERVAL="soon")

    assert complaint.splitlines() == [
        "FHIR_SERVER_PROT is not a setting; FHIR_SERVER_PORT is.",
        "FHIR_SERVER_PORT must be a whole number from 1 to 65535.",
        "FHIR_SERVER_BEHIND_TLS_PROXY must be true or false.",
        "FHIR_SERVER_LOG_LEVEL must be one of debug, info, warning, error.",
        "FHIR_SERVER_WORKER_INTERVAL must be a number from 0.05 to 3600.",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "8_000"),
        ("PORT", "\u0668\u0660"),
        ("WORKER_INTERVAL", "nan"),
        ("WORKER_INTERVAL", "inf"),
        ("MOST_ENTRIES", "5001"),
        ("DATABASE", "Clinic"),
        ("DATABASE", "clinic/x"),
        ("DATABASE", "clinic\n"),
        ("MONGO_URI", "http://mongo"),
        ("BASE_URL", "clinic.example"),
        ("BASE_URL", "https://clinic.example/fhir"),
        ("BASE_URL", "https://clinic.example/fhir/"),
        ("BASE_URL", "https://user@clinic.example"),
        ("BASE_URL", "https://clinic.example/?a=b"),
    ],
)
def test_a_value_outside_its_limits_is_refused_by_name(name: str, text: str) -> None:
    assert refusal(**{name: text}).startswith(f"FHIR_SERVER_{name} must be ")


def test_limits_hold_for_overrides_too() -> None:
    with pytest.raises(SettingsError, match="FHIR_SERVER_PORT must be"):
        Settings.from_environment({}, port=0)


def test_no_value_is_ever_quoted() -> None:
    secret = "mongodb://admin:correct-horse@mongo"

    assert "correct-horse" not in refusal(MONGO_URI=f" {secret}", PORT=secret, DATABASE=secret)
    assert "correct-horse" not in repr(read(MONGO_URI=secret))


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]  # the point of the test


def test_the_page_lists_every_setting_as_it_is_declared_and_no_other() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `FHIR_SERVER_")]

    assert rows == [
        f"| `{v.name}` | {v.type} | {f'`{v.written_default}`' if v.written_default else ''} | {v.sentence} |"
        for v in VARIABLES
    ]


def test_every_setting_has_one_sentence() -> None:
    for variable in VARIABLES:
        assert re.fullmatch(r"[A-Z][^|\n]*\.", variable.sentence), variable.name


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_s59_loopback_may_be_plain(host: str) -> None:
    assert transport(read(HOST=host)).ssl_context() is None


@pytest.mark.parametrize(
    "host",
    [
        EVERYWHERE,
        "::",
        "192.168.1.7",
        "10.0.0.1",
        "fhir.clinic.example",
        "localhost.evil.example",
        "127.1",
        "128.0.0.1",
    ],
)
def test_s59_t43_a_plain_listener_elsewhere_is_refused(host: str) -> None:
    assert "FHIR_SERVER_HOST must be loopback" in transport_refusal(HOST=host)


@given(st.ip_addresses().filter(lambda address: not address.is_loopback))
def test_s59_no_other_address_may_be_plain(address: object) -> None:
    with pytest.raises(SettingsError, match="FHIR_SERVER_HOST must be loopback"):
        transport(Settings(host=str(address)))


def test_s59_a_declared_proxy_lets_it_listen_in_plain_and_is_hsts() -> None:
    allowed = transport(read(HOST=EVERYWHERE, BEHIND_TLS_PROXY="true", BASE_URL="https://fhir.clinic.example"))

    assert allowed.hsts is True
    assert allowed.ssl_context() is None


@pytest.mark.parametrize("given_one", [{"TLS_CERTIFICATE": "a.pem"}, {"TLS_KEY": "a.key"}])
def test_s59_a_certificate_without_its_key_is_refused(given_one: dict[str, str]) -> None:
    assert "must be set together" in transport_refusal(**given_one)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"BASE_URL": "http://fhir.clinic.example"}, "must be on loopback while it begins with http://"),
        ({"BASE_URL": "https://fhir.clinic.example"}, "or FHIR_SERVER_BEHIND_TLS_PROXY is declared"),
        ({"BASE_URL": "http://127.0.0.1:8000", "BEHIND_TLS_PROXY": "true"}, "must begin with https://"),
        ({"HOST": EVERYWHERE, "BEHIND_TLS_PROXY": "true"}, "must name the server as its clients do"),
        ({"HOST": "::", "BEHIND_TLS_PROXY": "true"}, "must name the server as its clients do"),
        ({"BASE_URL": "https://[::1", "BEHIND_TLS_PROXY": "true"}, "must name the server as its clients do"),
    ],
)
def test_s59_the_url_that_clients_know_must_agree(variables: dict[str, str], words: str) -> None:
    assert words in transport_refusal(**variables)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    (folder / "server.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    for file, lock in (
        ("server.key", serialization.NoEncryption()),
        ("locked.key", serialization.BestAvailableEncryption(b"a secret")),
    ):
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
        (folder / file).write_bytes(pem)
    return folder / "server.pem", folder / "server.key"


def encrypted(certificate: tuple[Path, Path], **variables: str) -> Settings:
    return read(TLS_CERTIFICATE=str(certificate[0]), TLS_KEY=str(certificate[1]), **variables)


def shake_hands(server: ssl.SSLContext, version: ssl.TLSVersion) -> str | None:
    """What a client that speaks nothing but `version` agrees on with the server, over a real socket."""

    def answer(listener: socket.socket) -> None:
        plain, _ = listener.accept()
        with plain:
            try:
                server.wrap_socket(plain, server_side=True).close()
            except OSError:
                return

    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # naming TLS 1.1 is what the test is about
        client.minimum_version = client.maximum_version = version
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname()) as plain,
                client.wrap_socket(plain) as tunnel,
            ):
                return tunnel.version()
        finally:
            thread.join()


def any_version(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.load_cert_chain(*certificate)
    return context


def context_of(settings: Settings) -> ssl.SSLContext:
    context = transport(settings).ssl_context()
    assert context is not None
    return context


def test_s59_t43_r_smart_088_tls_1_1_is_refused_and_1_2_and_1_3_are_spoken(certificate: tuple[Path, Path]) -> None:
    ours = context_of(encrypted(certificate))

    assert shake_hands(any_version(certificate), ssl.TLSVersion.TLSv1_1) == "TLSv1.1", "the client could speak it"
    for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with pytest.raises(OSError, match=r"(?i)alert|protocol|reset|EOF"):
            shake_hands(ours, old)
    assert shake_hands(ours, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert shake_hands(ours, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def test_s59_a_certificate_lets_it_listen_anywhere_with_hsts(certificate: tuple[Path, Path]) -> None:
    settings = encrypted(certificate, HOST=EVERYWHERE, BASE_URL="https://fhir.clinic.example")

    assert transport(settings).hsts is True
    assert encrypted(certificate, HOST="::1").base_url == "https://[::1]:8000"


def test_uvicorn_serves_with_the_context(certificate: tuple[Path, Path]) -> None:
    context = context_of(encrypted(certificate))
    config = uvicorn.Config(
        "fhir_server:__doc__", log_config=None, ssl_context_factory=lambda _config, _default: context
    )

    assert config.is_ssl
    config.load()
    assert config.ssl is context


@pytest.mark.parametrize("key", ["locked.key", "server.pem", "missing.key"])
def test_s59_a_key_that_cannot_be_used_is_an_error_and_never_a_question(
    certificate: tuple[Path, Path], key: str
) -> None:
    settings = encrypted((certificate[0], certificate[0].with_name(key)))

    with pytest.raises(SettingsError, match="FHIR_SERVER_TLS_KEY"):
        transport(settings).ssl_context()


@pytest.mark.parametrize("given_ones", [{"METRICS_PORT": "8000"}, {"METRICS_PORT": "7998", "PROCESSES": "3"}])
def test_metrics_are_not_told_where_the_server_listens(given_ones: dict[str, str]) -> None:
    assert "METRICS_PORT" in refusal(**given_ones)


def test_metrics_may_be_told_just_beside_the_server() -> None:
    assert read(METRICS_PORT="7998", PROCESSES="2").metrics_port == 7998
