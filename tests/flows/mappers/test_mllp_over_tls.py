"""HL7 v2 over TLS 1.2 and up, to senders that prove themselves; nobody else is spoken to. IHE ATNA (ITI-19)."""

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mappers.hl7v2.parsing import parsed
from mappers.runtime.clock import now
from mappers.runtime.mllp import END, START, tls_context
from mappers.runtime.serving import listening
from mappers.runtime.wiring import Runtime
from tests.flows.mappers.test_runtime import runtime, vendors
from tests.mappers.golden import named

pytestmark = pytest.mark.anyio

__all__ = ["runtime", "vendors"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, good for an hour, and its key; both ends use it."""
    made = tmp_path_factory.mktemp("mllp")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ehr")])
    moment = now().astimezone(UTC)
    signed = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), moment, moment + timedelta(hours=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (made / "key.pem").write_bytes(pem)
    (made / "certificate.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return made


async def asked(runtime: Runtime, folder: Path, client: ssl.SSLContext | None) -> bytes:
    source = runtime.settings.source("ehr")
    tls = {"certificate": "certificate.pem", "certificate_key": "key.pem", "client_authorities": "certificate.pem"}
    source = replace(source, given={**source.given, **tls}, folder=folder)
    async with await listening(runtime, source) as listener, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname(), ssl=client)
        try:
            writer.write(START + named("hl7v2/siu-s24").message.raw + END)
            return await reader.read(4096)
        finally:
            writer.transport.abort()


async def test_a_sender_with_a_certificate_is_answered(runtime: Runtime, folder: Path) -> None:
    client = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    client.load_cert_chain(folder / "certificate.pem", folder / "key.pem")

    answer = await asked(runtime, folder, client)

    assert parsed(answer.strip(START + END)).need("MSA").text(1) == "AA", answer


async def test_a_sender_without_one_is_not(runtime: Runtime, folder: Path) -> None:
    """In TLS 1.3 a client learns of it when it reads."""
    client = ssl.create_default_context(cafile=str(folder / "certificate.pem"))

    try:
        answer = await asked(runtime, folder, client)
    except (ssl.SSLError, ConnectionError):
        answer = b""

    assert answer == b""


async def test_a_sender_in_plain_hears_no_hl7(runtime: Runtime, folder: Path) -> None:
    try:
        answer = await asked(runtime, folder, None)
    except ConnectionError:
        answer = b""

    assert b"MSA" not in answer


def test_older_versions_of_tls_are_not_spoken(folder: Path) -> None:
    context = tls_context(str(folder / "certificate.pem"), str(folder / "key.pem"), None)

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
