#!/usr/bin/env python3
"""Verifies an exported audit log, or a regulator's pack, offline, without trusting who exported it.

    python verify_export.py FOLDER KEY [--older CHECKPOINT] [--witness KEY]

FOLDER  what `fhir-server export-log` wrote: checkpoint, events.ndjson and, if asked for, growth;
        or what was in the ZIP of `$regulator-export`: manifest.jws, and the files that it tells of
KEY     the public key, as you were given it before (or a file that holds it): of a log one line, of a pack a JWK
--older a checkpoint that you kept from an earlier day: shows that the log only grew since
--witness  the key of a witness, as you were given it by whoever runs it: shows what that witness saw, and when

It needs Python 3.11 and the package `cryptography`, for one thing: Ed25519 signatures. Everything else is SHA-256.

What it proves of a pack: the clinic signed these files, not one of them was changed, taken out or added. Of a log:
each event is, byte for byte, in the log of which the checkpoint tells; and where all events are there,
that none is missing. With an older checkpoint: that what was in the log then is in it unchanged. What it cannot prove:
that everything that happened was recorded, and that there is no second log under the same key that others are shown.
Compare your checkpoint with that of somebody who does not depend on the operator.

Hashes are those of RFC 9162 (section 2.1), checkpoints those of https://c2sp.org/tlog-checkpoint, manifests are JWS
(RFC 7515) signed with Ed25519 (RFC 9864).
"""

import argparse
import base64
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Wrong(Exception):  # noqa: N818  it is read aloud: "Wrong: …"
    """What does not fit."""


class Checkpoint(NamedTuple):
    size: int
    root: bytes


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01", left, right)


def checkpoint(note: str, key: str) -> Checkpoint:
    """A signed text of a few lines: the log's name, its size, its root; a blank line; signatures."""
    name, key_id, encoded = key.strip().split("+", 2)
    kind_and_public = base64.b64decode(encoded)
    if kind_and_public[:1] != b"\x01" or sha256(name.encode(), b"\n", kind_and_public)[:4].hex() != key_id:
        raise Wrong("KEY is no key of a log.")
    text, _, signatures = note.partition("\n\n")
    origin, size, root = text.split("\n")[:3]
    if origin != name:
        raise Wrong(f"The checkpoint is one of {origin}, and the key one of {name}.")
    for line in signatures.splitlines():
        _, signer, signature = line.split(" ")
        blob = base64.b64decode(signature)
        if signer == name and blob[:4].hex() == key_id:
            public = Ed25519PublicKey.from_public_bytes(kind_and_public[1:])
            try:
                public.verify(blob[4:], f"{text}\n".encode())
            except InvalidSignature:
                raise Wrong("The checkpoint's signature is not of this key.") from None
            return Checkpoint(int(size), base64.b64decode(root))
    raise Wrong("The checkpoint bears no signature of this key.")


def cosigned(note: str, key: str) -> str:
    """Who else signed a checkpoint, and when, by their own clock: https://c2sp.org/tlog-cosignature."""
    name, key_id, encoded = key.strip().split("+", 2)
    kind_and_public = base64.b64decode(encoded)
    if kind_and_public[:1] != b"\x04" or sha256(name.encode(), b"\n", kind_and_public)[:4].hex() != key_id:
        raise Wrong("The key of the witness is none.")
    text, _, signatures = note.partition("\n\n")
    for line in signatures.splitlines():
        _, signer, signature = line.split(" ")
        blob = base64.b64decode(signature)
        if signer == name and blob[:4].hex() == key_id:
            seconds = int.from_bytes(blob[4:12])
            try:
                signed = f"cosignature/v1\ntime {seconds}\n{text}\n".encode()
                Ed25519PublicKey.from_public_bytes(kind_and_public[1:]).verify(blob[12:], signed)
            except InvalidSignature:
                raise Wrong("The signature of the witness is not of this key.") from None
            return f"{name} at {datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    raise Wrong("The checkpoint bears no signature of this witness.")


def root_of_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.3.2: from a leaf up to the root, one hash of the other side at each step."""
    place, last, hashed = index, size - 1, leaf
    for other in path:
        if last == 0:
            raise Wrong(f"The proof of event {index} is too long.")
        if place % 2 or place == last:
            hashed = node(other, hashed)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            hashed = node(hashed, other)
        place, last = place // 2, last // 2
    if last:
        raise Wrong(f"The proof of event {index} is too short.")
    return hashed


def require_grown(old: Checkpoint, new: Checkpoint, path: list[bytes]) -> None:
    """The tree of the older checkpoint is the beginning of the tree of the newer one."""
    if old.size > new.size:
        raise Wrong(f"The log was rolled back: it had {old.size} events, and has {new.size}.")
    if old.size in {0, new.size}:
        before, after = old.root, new.root if old.size == 0 else old.root
    else:
        before, after = both_roots(old, new, path)
    if before != old.root or after != new.root:
        raise Wrong("What was in the log at the older checkpoint is not what it was.")


def both_roots(old: Checkpoint, new: Checkpoint, path: list[bytes]) -> tuple[bytes, bytes]:
    """RFC 9162 section 2.1.4.2: one path that leads to the older root and to the newer one."""
    is_whole = old.size & (old.size - 1) == 0
    first, *others = [old.root, *path] if is_whole else path or [b""]
    place, last = old.size - 1, new.size - 1
    while place % 2:
        place, last = place // 2, last // 2
    before = after = first
    for other in others:
        if place % 2 or place == last:
            before, after = node(other, before), node(other, after)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            after = node(after, other)
        place, last = place // 2, last // 2
    return before, after if last == 0 else b""


def require_event(line: str, signed: Checkpoint) -> int:
    """One event: what it says is what its entry commits to, and its entry is in the log. Its place in the log."""
    told = json.loads(line)  # noqa: TID251  this file stands alone
    index: int = told["index"]
    event = told["event"].encode()
    entry, salt = base64.b64decode(told["entry"]), base64.b64decode(told["salt"])
    if entry[:32] != sha256(salt, event):
        raise Wrong(f"Event {index} does not say what was recorded.")
    if not 0 <= index < signed.size:
        raise Wrong(f"Event {index} lies beyond the checkpoint.")
    path = [base64.b64decode(hashed) for hashed in told["proof"]]
    if root_of_path(sha256(b"\x00", entry), index, signed.size, path) != signed.root:
        raise Wrong(f"Event {index} is not in the log.")
    return index


def unurl(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed_by(jws: str, key: str) -> bytes:
    """What a manifest says, if it bears the signature of this key."""
    head, payload, signature = jws.strip().split(".")
    told = json.loads(unurl(head))  # noqa: TID251  this file stands alone
    if told.get("alg") != "Ed25519" or told.get("typ") != "regulator-pack+jws" or "crit" in told:
        raise Wrong("manifest.jws is no manifest of a pack.")
    public = Ed25519PublicKey.from_public_bytes(unurl(json.loads(key)["x"]))  # noqa: TID251  likewise
    try:
        public.verify(unurl(signature), f"{head}.{payload}".encode())
    except InvalidSignature:
        raise Wrong("The manifest's signature is not of this key.") from None
    return unurl(payload)


def verified_pack(folder: Path, key: str) -> str:
    """Every file is there, and none beside them, and each has the hash that was signed."""
    told = json.loads(signed_by((folder / "manifest.jws").read_text(), key))  # noqa: TID251  likewise
    signed = {file["name"]: file["sha256"] for file in told["files"]}
    here = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - {"manifest.jws"}
    for name in sorted(signed.keys() | here):
        if name not in here:
            raise Wrong(f"{name} is missing.")
        if name not in signed:
            raise Wrong(f"{name} does not belong to the pack.")
        if sha256((folder / name).read_bytes()).hex() != signed[name]:
            raise Wrong(f"{name} is not what was signed.")
    return f"{len(signed)} files of {told['clinic']}, issued {told['issued']}; the log is {told['assurance']}."


def hashes(file: Path) -> list[bytes]:
    return [base64.b64decode(hashed) for hashed in file.read_text().split()] if file.exists() else []


def vouched(folder: Path, key: str, witness: str | None, signed: Checkpoint) -> list[str]:
    """What others saw of this log. Each of their checkpoints is the log's own, and the log only grew since."""
    said = []
    for file in sorted(folder.glob("*.checkpoint")):
        seen = checkpoint(file.read_text(), key)
        require_grown(seen, signed, hashes(file.with_suffix(".growth")))
        if file.stem == "witness" and witness:
            said.append(f"Its first {seen.size} events were witnessed by {cosigned(file.read_text(), witness)}.")
        stamp = file.with_suffix(".tsr")
        if stamp.exists():
            said.append(f"For the time stamp of its first {seen.size} events ask openssl, with the authority's root:")
            said.append(f"  openssl ts -verify -data {file} -in {stamp} -CAfile ROOT.pem")
    if witness and not (folder / "witness.checkpoint").exists():
        raise Wrong("No witness signed anything that is here.")
    return said or ["Nobody but its operator vouches here for this log: it is operator-attested."]


def verified(folder: Path, key: str, older: Path | None, witness: str | None = None) -> str:
    signed = checkpoint((folder / "checkpoint").read_text(), key)
    seen: set[int] = set()
    with (folder / "events.ndjson").open(encoding="utf-8") as events:
        for line in events:
            seen.add(require_event(line, signed))
    said = [f"{len(seen)} of the {signed.size} events of the log are here; each is as it was recorded."]
    if len(seen) == signed.size:
        said.append("That is all of them: none is missing.")
    if older:
        kept = checkpoint(older.read_text(), key)
        require_grown(kept, signed, hashes(folder / "growth"))
        said.append(f"Since your checkpoint of {kept.size} events the log only grew.")
    return "\n".join([*said, *vouched(folder, key, witness, signed)])


def main() -> int:
    parser = argparse.ArgumentParser(description="Verify an exported audit log or a regulator's pack, offline.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("key", help="the public key, or a file that holds it")
    parser.add_argument("--older", type=Path, help="a checkpoint that you kept from an earlier day")
    parser.add_argument("--witness", help="the key of a witness, or a file that holds it")
    arguments = parser.parse_args()
    key, witness = (
        Path(given).read_text() if given and Path(given).is_file() else given
        for given in (arguments.key, arguments.witness)
    )
    try:
        is_pack = (arguments.folder / "manifest.jws").exists()
        print(
            verified_pack(arguments.folder, key)
            if is_pack
            else verified(arguments.folder, key, arguments.older, witness)
        )
    except Wrong as wrong:
        print(f"WRONG. {wrong}")
        return 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"WRONG. This is no export that can be read: {error!r}")
        return 1
    print("VERIFIED")
    return 0


if __name__ == "__main__":
    sys.exit(main())
