#!/usr/bin/env python3
"""Verifies a pack of evidence, offline, without trusting who handed it over.

    python verify_pack.py PACK KEY

PACK  the ZIP file that `Procedure/[id]/$evidence-pack` answered
KEY   the clinic's public key: the JWK that `fhir-server keys status` prints, as you were given it before (or a file)

It needs Python 3.11 and the package `cryptography`, for one thing: Ed25519 signatures. Everything else is SHA-256.

What it proves: who holds the key signed this list of parts, for this recipient and purpose, at the time that it names;
every part is there, byte for byte, and nothing else is. What it cannot prove: that the record holds everything that
happened, and that the clock was right. The clinic's audit log has an event of the disclosure with the hash that is
printed; the pack names the log's checkpoint from before it.

The signature is a compact JWS (RFC 7515, RFC 8037).
"""

import base64
import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MANIFEST, TYPE = "manifest.jws", "evidence-pack+jws"
MOST_BYTES = 256 << 20


class Wrong(Exception):  # noqa: N818  it is read aloud: "Wrong: …"
    """What does not fit."""


def unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed(text: str, key: str) -> Any:  # noqa: ANN401  JSON is any value
    """What the manifest says, once its signature holds."""
    try:
        head, body, signature = text.strip().split(".")
        header = json.loads(unbase64(head))
        public = Ed25519PublicKey.from_public_bytes(unbase64(json.loads(key)["x"]))
        public.verify(unbase64(signature), f"{head}.{body}".encode())
    except (InvalidSignature, ValueError, KeyError, TypeError):
        raise Wrong("the manifest was not signed with this key.") from None
    if header.get("alg") not in {"Ed25519", "EdDSA"} or header.get("typ") != TYPE:
        raise Wrong("what was signed with this key is no pack.")
    return json.loads(unbase64(body))


def verified(pack: zipfile.ZipFile, key: str) -> tuple[Any, str]:
    names = pack.namelist()
    if len(set(names)) != len(names) or sum(one.file_size for one in pack.infolist()) > MOST_BYTES:
        raise Wrong("the file holds a name twice, or too much.")
    if MANIFEST not in names:
        raise Wrong("the file has no manifest.")
    raw = pack.read(MANIFEST)
    told = signed(raw.decode("ascii", "replace"), key)
    listed = {part["path"]: part for part in told["parts"]}
    if missing := listed.keys() - set(names):
        raise Wrong(f"{min(missing)} is missing.")
    if added := set(names) - listed.keys() - {MANIFEST}:
        raise Wrong(f"{min(added)} was added.")
    for path, part in listed.items():
        data = pack.read(path)
        if len(data) != part["size"] or hashlib.sha256(data).hexdigest() != part["sha256"]:
            raise Wrong(f"{path} was altered.")
    return told, hashlib.sha256(raw).hexdigest()


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:  # noqa: PLR2004  PACK and KEY
        print(__doc__)
        return 2
    file, key = arguments
    try:
        text = Path(key).read_text() if not key.startswith("{") else key
        with zipfile.ZipFile(file) as pack:
            told, digest = verified(pack, text)
    except (Wrong, OSError, zipfile.BadZipFile) as fault:
        print(f"Wrong: {fault}")
        return 1
    print(f"Right: {len(told['parts'])} parts, signed by the holder of the key.")
    print(f"Issued {told['issued']} by {told['issuedBy']} for {told['recipient']}, purpose {told['purpose']}.")
    print(f"Left out: {told['withheld']}. SHA-256 of the manifest: {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
