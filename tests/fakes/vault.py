"""A transit engine on loopback, as its API documentation describes it, with the refusals that `trim` knows.

https://developer.hashicorp.com/vault/api-docs/secret/transit. It is a stand-in: no Vault was asked.
"""

import base64
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.kernel import json

Json = dict[str, Any]


class RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class TransitKey:
    def __init__(self) -> None:
        self.versions = {1: AESGCM.generate_key(256)}
        self.least_opened, self.least_wrapping, self.least_there = 1, 0, 0
        self.extra: Json = {}

    def described(self) -> Json:
        return {
            "type": "aes256-gcm96",
            "latest_version": max(self.versions),
            "min_available_version": self.least_there,
            "min_decryption_version": self.least_opened,
            "min_encryption_version": self.least_wrapping,
            "exportable": False,
            "allow_plaintext_backup": False,
            "derived": False,
            **self.extra,
        }

    def encrypted(self, body: Json) -> Json:
        newest, nonce = max(self.versions), secrets.token_bytes(12)
        plain, bound = base64.b64decode(body["plaintext"]), base64.b64decode(body["associated_data"])
        sealed = nonce + AESGCM(self.versions[newest]).encrypt(nonce, plain, bound)
        return {"ciphertext": f"vault:v{newest}:{base64.b64encode(sealed).decode()}", "key_version": newest}

    def decrypted(self, body: Json) -> Json:
        _, version, text = body["ciphertext"].split(":")
        number, sealed = int(version[1:]), base64.b64decode(text)
        if number not in self.versions or number < self.least_opened:
            raise RefusedError(400)
        try:
            bound = base64.b64decode(body["associated_data"])
            plain = AESGCM(self.versions[number]).decrypt(sealed[:12], sealed[12:], bound)
        except (InvalidTag, ValueError):
            raise RefusedError(400) from None
        return {"plaintext": base64.b64encode(plain).decode()}

    def changed(self, how: str, body: Json) -> None:
        match how:
            case "rotate":
                self.rotated()
            case "config":
                self.configured(body)
            case "trim":
                self.trimmed(body)
            case _:
                raise RefusedError(405)

    def rotated(self) -> None:
        self.versions[max(self.versions) + 1] = AESGCM.generate_key(256)

    def configured(self, body: Json) -> None:
        if not 0 < body["min_decryption_version"] <= max(self.versions):
            raise RefusedError(400)
        self.least_opened, self.least_wrapping = body["min_decryption_version"], body["min_encryption_version"]

    def trimmed(self, body: Json) -> None:
        least = body["min_available_version"]
        if not self.least_wrapping or least > min(self.least_opened, self.least_wrapping) or least < self.least_there:
            raise RefusedError(400)
        self.least_there = least
        self.versions = {number: key for number, key in self.versions.items() if number >= least}


class Transit:
    """`answer` takes the place of what the engine would say: (status, body)."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        self.keys: dict[str, TransitKey] = {}
        self.answer: tuple[int, bytes] | None = None

    def told(self, method: str, path: str, token: str | None, body: bytes) -> tuple[int, bytes]:
        if self.answer:
            return self.answer
        if token != self.token:
            return 403, b'{"errors":["permission denied"]}'
        try:
            found = self._done(method, path.removeprefix("/v1/transit/").split("/"), json.decode(body) if body else {})
        except RefusedError as refused:
            return refused.status, b'{"errors":["refused"]}'
        return (200, json.encode({"data": found})) if found else (204, b"")

    def _done(self, method: str, path: list[str], body: Json) -> Json | None:
        match method, path:
            case "POST", ["keys", name]:
                self.keys.setdefault(name, TransitKey())
                return None
            case _, [_, name, *_] if name not in self.keys:
                raise RefusedError(404)
            case "GET", ["keys", name]:
                return self.keys[name].described()
            case "POST", ["encrypt", name]:
                return self.keys[name].encrypted(body)
            case "POST", ["decrypt", name]:
                return self.keys[name].decrypted(body)
            case "POST", ["keys", name, change]:
                self.keys[name].changed(change, body)
                return None
            case _:
                raise RefusedError(405)


@contextmanager
def transit() -> Iterator[Transit]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            told = engine.told(self.command, self.path, self.headers.get("X-Vault-Token"), self.rfile.read(length))
            self.send_response(told[0])
            self.send_header("Content-Length", str(len(told[1])))
            self.end_headers()
            self.wfile.write(told[1])

        do_GET = do_POST = _answer  # noqa: N815  the names that the standard library looks for

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal of a test."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    engine = Transit(f"http://127.0.0.1:{server.server_address[1]}/v1/transit/keys/", secrets.token_hex(8))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield engine
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
