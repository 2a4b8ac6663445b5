"""Every byte that a database holds, and how to look for many values in it at once, plain or in disguise."""

import base64
from collections.abc import Iterator
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

WINDOW = 8
"""Values of this many bytes or more are looked for anywhere; shorter ones turn up in random bytes by chance."""


def everything(uri: str) -> Iterator[tuple[str, bytes]]:
    """Every document of every collection of every database, the oplog among them, as the bytes it has there."""
    raw = CodecOptions(document_class=RawBSONDocument)
    with MongoClient[Any](uri) as mongo:
        for database in mongo.list_databases():
            for collection in mongo[database["name"]].list_collections():
                name = f"{database['name']}.{collection['name']}"
                yield name, bson.encode(collection)
                for document in mongo[database["name"]].get_collection(collection["name"], raw).find({}):
                    # Of a large document it is a memoryview, in which nothing is ever found.
                    yield name, bytes(document.raw)


def hits(haystack: bytes, needles: dict[bytes, set[bytes]]) -> set[bytes]:
    """The needles that occur; their first eight bytes are looked up first."""
    windows = {haystack[at : at + WINDOW] for at in range(len(haystack) - WINDOW + 1)}
    return {needle for start in windows & needles.keys() for needle in needles[start] if needle in haystack}


def by_beginning(secrets: set[bytes]) -> dict[bytes, set[bytes]]:
    found: dict[bytes, set[bytes]] = {}
    for secret in secrets:
        if len(secret) >= WINDOW:
            found.setdefault(secret[:WINDOW], set()).add(secret)
    return found


def disguised(secret: bytes) -> set[bytes]:
    """The same as hexadecimal and as base64, wherever in a longer text it may begin."""
    shifted = {base64.b64encode(bytes(shift) + secret)[4 if shift else 0 :].rstrip(b"=")[:-1] for shift in range(3)}
    return {secret, secret.hex().encode(), secret.hex().upper().encode(), *shifted}


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every string with the fields that lead to it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from leaves(child, (*path, name))
    elif isinstance(value, list):
        for child in value:
            yield from leaves(child, path)
