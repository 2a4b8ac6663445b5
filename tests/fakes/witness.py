"""Others who vouch for a log, reached without a network: a witness as C2SP describes it, an authority made of openssl.

https://c2sp.org/tlog-witness; RFC 3161.
"""

import base64
import subprocess
from collections.abc import Mapping
from pathlib import Path

from fhir_server.crypto import checkpoint
from fhir_server.crypto.proving import continues
from fhir_server.crypto.signing import Signer
from fhir_server.kernel.clock import SystemClock
from fhir_server.outbound.egress import Egress, EgressError, Fetched

URL = "https://witness.example/clinics"
STAMPS = "https://stamps.example/tsr"


class Witness(Egress):
    """Remembers the size and root that it signed last, and refuses what does not continue them."""

    def __init__(self, name: str = "witness.example/1", seed: bytes = b"w" * 32) -> None:
        super().__init__()
        self._name, self._signer = name, Signer(seed)
        self.key = checkpoint.witness_key(name, self._signer.public)
        self.size, self.root = 0, b""
        self.asked: list[str] = []
        self.answer: Fetched | None = None

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, most_bytes: int, seconds: float) -> Fetched:
        assert (url, headers["Content-Type"]) == (f"{URL}/add-checkpoint", "text/plain; charset=utf-8")
        head, _, note = body.decode().partition("\n\n")
        first, *path = head.split("\n")
        self.asked.append(first)
        if self.answer:
            return self.answer
        shown, old = checkpoint.parsed(note), int(first.removeprefix("old "))
        if old != self.size or (old == shown.size and self.root != shown.root):
            return Fetched(f"{self.size}\n".encode(), {"content-type": "text/x.tlog.size"}, 409)
        proof = [base64.b64decode(hashed) for hashed in path]
        if old and not continues(old, shown.size, self.root, shown.root, proof):
            return Fetched(b"", {}, 422)
        self.size, self.root = shown.size, shown.root
        seconds_now = int(SystemClock().now().timestamp())
        line = checkpoint.cosigned(note, self._name, self._signer.public, self._signer.sign, seconds_now)
        return Fetched(line.encode(), {})


class Authority(Egress):
    """A time stamp authority of our own: openssl signs with a certificate that our own root answers for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.roots = folder / "root.pem"
        self.answer: Fetched | None = None
        self.is_away = False
        (folder / "tsa.cnf").write_text(_CONFIGURATION)
        self._openssl("req", "-x509", "-subj", "/CN=root", "-keyout", "root.key", "-out", "root.pem", *_NEW, *_AS("ca"))
        self._openssl("req", "-subj", "/CN=authority", "-keyout", "tsa.key", "-out", "tsa.csr", *_NEW)
        signed = (
            "-CA",
            "root.pem",
            "-CAkey",
            "root.key",
            "-CAcreateserial",
            "-extfile",
            "tsa.cnf",
            "-extensions",
            "signer",
        )
        self._openssl("x509", "-req", "-in", "tsa.csr", "-out", "tsa.pem", "-days", "2", *signed)

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, most_bytes: int, seconds: float) -> Fetched:
        assert (url, headers["Content-Type"]) == (STAMPS, "application/timestamp-query")
        if self.is_away:
            raise EgressError("The connection failed.")
        if self.answer:
            return self.answer
        (self._folder / "query").write_bytes(body)
        self._openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply")
        return Fetched((self._folder / "reply").read_bytes(), {"content-type": "application/timestamp-reply"})

    def _openssl(self, *told: str) -> None:
        subprocess.run(["openssl", *told], cwd=self._folder, capture_output=True, check=True)


def is_stamp(stamp: Path, data: Path, roots: Path) -> bool:
    """What openssl says of it."""
    told = ["openssl", "ts", "-verify", "-data", str(data), "-in", str(stamp), "-CAfile", str(roots)]
    return subprocess.run(told, capture_output=True, check=False).returncode == 0


_NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "tsa.cnf")


def _AS(section: str) -> tuple[str, ...]:  # noqa: N802  beside _NEW
    return ("-days", "2", "-extensions", section)


_CONFIGURATION = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[signer]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
authorityKeyIdentifier = keyid
[tsa]
default_tsa = authority
[authority]
dir = .
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
"""
