"""Rows S59, S106, T38, T43: the running server speaks TLS 1.2 and up, and nothing in plain."""

import http.client
import socket
import ssl
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pymongo import MongoClient

from fhir_server.kernel.clock import SystemClock
from fhir_server.kernel.json import Json
from tests.servers import Server, started


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One for 127.0.0.1, good for an hour, that nobody but this test trusts."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "clinic")])
    now = SystemClock().now().astimezone(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, until(now))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(pem)
    (folder / "certificate.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return folder / "certificate.pem", folder / "key.pem"


def until(now: datetime) -> datetime:
    return now + timedelta(hours=1)


@pytest.fixture(scope="module")
def server(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> Iterator[Server]:
    settings = {"mongo_uri": mongo_uri, "database": "test_tls"}
    chain, key = certificate
    with started("serve", tmp_path_factory.mktemp("data"), tls_certificate=chain, tls_key=key, **settings) as running:
        yield running
    with MongoClient[Json](mongo_uri) as mongo:
        for name in mongo.list_database_names():
            if name.startswith("test_tls"):
                mongo.drop_database(name)


def context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


def test_s59_s106_an_answer_comes_sealed_and_says_that_it_always_will(
    server: Server, certificate: tuple[Path, Path]
) -> None:
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context(certificate))
    connection.request("GET", "/fhir/metadata")
    answer = connection.getresponse()
    body = answer.read()
    connection.close()

    assert answer.status == 200
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    assert f"https://127.0.0.1:{server.port}/fhir".encode() in body
    assert server.said[-1] == f"ready https://127.0.0.1:{server.port}"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_r_smart_088_s59_t43_what_is_safe_is_spoken(
    server: Server, certificate: tuple[Path, Path], version: ssl.TLSVersion
) -> None:
    asked = context(certificate)
    asked.minimum_version = asked.maximum_version = version

    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire,
        asked.wrap_socket(wire, server_hostname="127.0.0.1") as sealed,
    ):
        assert (sealed.version() or "").replace(".", "_") == version.name


@pytest.mark.parametrize("name", ["TLSv1", "TLSv1_1"])
def test_r_smart_088_s59_t43_older_versions_are_refused(
    server: Server, certificate: tuple[Path, Path], name: str
) -> None:
    """By a client that would speak them: the unit tests of the settings see that it does, to a server that lets it."""
    asked = context(certificate)
    asked.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # naming them is what the test is about
        asked.minimum_version = asked.maximum_version = ssl.TLSVersion[name]

    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        asked.wrap_socket(wire, server_hostname="127.0.0.1")


def test_s59_t43_nothing_is_answered_in_plain(server: Server) -> None:
    answer = server.send(b"GET /fhir/metadata HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    assert not answer.startswith(b"HTTP/")
    assert b"CapabilityStatement" not in answer
