"""What a clinic writes down about its connections: one JSON file, secrets in files beside it.

A file that others may read is refused: it names keys. Anything that is not known is a mistake, and is refused too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_IRWXG, S_IRWXO
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json, decode_object
from mappers.mapping.message import Tables
from mappers.runtime.faults import SetupError

_COMMON = frozenset({"name", "system", "tables"})
_OF_SYSTEM: Mapping[str, frozenset[str]] = {
    "calcom": frozenset({"path", "secret_file"}),
    "calendly": frozenset({"path", "secret_file"}),
    "cliniko": frozenset({"api_key_file", "app", "email", "every_seconds", "beginning"}),
    "nextmotion": frozenset({"path", "secret_file", "api_key_file", "id_at", "file_hosts"}),
    "pabau": frozenset({"path", "secret_file", "api_key_file", "every_seconds", "beginning"}),
    "dicom": frozenset(),
    "icalendar": frozenset({"path", "secret_file"}),
    "hl7v2": frozenset({"host", "port", "certificate", "certificate_key", "client_authorities"}),
    "csv": frozenset({"columns"}),
    "fhir": frozenset(
        {"base", "client_id", "scope", "key_file", "auth_hosts", "they_are", "recipient", "known"}
        | {"types", "every_seconds", "beginning"}
    ),
    "siu": frozenset(
        {"host", "port", "authorities", "certificate", "certificate_key", "sender", "receiver"}
        | {"every_seconds", "beginning"}
    ),
}
_TABLES = frozenset({"zone", "actors", "statuses"})
_SHORTEST_KEY = 32
_BEGINNING = "2000-01-01T00:00:00Z"
_HOST = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_NEAR = (".local", ".localhost", ".internal", ".home.arpa")


@dataclass(frozen=True, slots=True)
class SourceSettings:
    name: str
    system: str
    tables: Tables
    given: Mapping[str, Any] = field(repr=False)
    folder: Path

    def text(self, name: str) -> str:
        found = self.given.get(name)
        if not isinstance(found, str) or not found:
            raise SetupError(f"The source {self.name} has no {name}.")
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        found = self.given.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, str) and one for one in found):
            raise SetupError(f"{name} of {self.name} is a list of words.")
        return tuple(found)

    def table(self, name: str) -> dict[str, str]:
        found = self.given.get(name, {})
        if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
            raise SetupError(f"{name} of {self.name} is a table of words.")
        return dict(found)

    def secret(self, name: str) -> str:
        return secret(self.folder / self.text(name))

    def beginning(self) -> str:
        return self.text("beginning") if "beginning" in self.given else _BEGINNING

    def port(self) -> int:
        found = self.given.get("port", 2575)
        if not isinstance(found, int):
            raise SetupError(f"port of {self.name} is a number.")
        return found

    def hosts(self, name: str) -> frozenset[str]:
        """Names of other machines; no address in numbers, and none of this network."""
        found = self.given.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, str) and _is_far(one) for one in found):
            raise SetupError(f"{name} of {self.name} is a list of names of hosts.")
        return frozenset(found)

    def seconds(self) -> int:
        found = self.given.get("every_seconds", 300)
        if not isinstance(found, int) or not 10 <= found <= 86_400:  # noqa: PLR2004  between seconds and a day
            raise SetupError(f"every_seconds of {self.name} is between 10 and 86400.")
        return found


@dataclass(frozen=True, slots=True)
class Settings:
    server: str
    client_id: str
    scope: str
    key: Json = field(repr=False)
    state_key: str = field(repr=False)
    sources: tuple[SourceSettings, ...]

    def source(self, name: str) -> SourceSettings:
        found = next((one for one in self.sources if one.name == name), None)
        if found is None:
            raise SetupError(f"There is no source {name}.")
        return found


def load(path: Path) -> Settings:
    given = _object(path)
    _refuse_unknown(given, {"server", "client_id", "scope", "key_file", "state_key_file", "sources"}, "The settings")
    try:
        key = decode_object(secret(path.parent / given["key_file"]).encode())
        state_key = secret(path.parent / given["state_key_file"])
        sources = tuple(_source(one, path.parent) for one in given["sources"])
        server, client, scope = str(given["server"]), str(given["client_id"]), str(given["scope"])
    except KeyError as missing:
        raise SetupError(f"The settings have no {missing.args[0]}.") from None
    if len(state_key) < _SHORTEST_KEY:
        raise SetupError(f"The state key has at least {_SHORTEST_KEY} characters.")
    if len({one.name for one in sources}) != len(sources):
        raise SetupError("Two sources have one name.")
    return Settings(server.rstrip("/"), client, scope, key, state_key, sources)


def refuse_open(url: str) -> None:
    """Patients' data and tokens go over TLS, but on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise SetupError("The server is reached over https.")


def secret(path: Path) -> str:
    """Of its owner's alone, and without the line's end."""
    try:
        if path.stat().st_mode & (S_IRWXG | S_IRWXO):
            raise SetupError(f"{path.name} may be read by others; take that away (chmod 600).")
        return path.read_text().strip()
    except OSError:
        raise SetupError(f"{path.name} cannot be read.") from None


def _is_far(host: str) -> bool:
    return _HOST.fullmatch(host) is not None and not host.endswith(_NEAR)


def _source(given: Json, folder: Path) -> SourceSettings:
    name, system = str(given["name"]), str(given["system"])
    if system not in _OF_SYSTEM:
        raise SetupError(f"{name}: there is no system {system}.")
    _refuse_unknown(given, _COMMON | _OF_SYSTEM[system], name)
    return SourceSettings(name, system, _tables(given.get("tables", {}), name), given, folder)


def _tables(given: Json, name: str) -> Tables:
    _refuse_unknown(given, _TABLES, f"{name}: tables")
    try:
        zone = ZoneInfo(given["zone"]) if "zone" in given else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SetupError(f"{name}: tables.zone is no time zone.") from None
    return Tables(zone, given.get("actors", {}), given.get("statuses", {}))


def _object(path: Path) -> Json:
    try:
        return decode_object(path.read_bytes())
    except OSError:
        raise SetupError(f"{path.name} cannot be read.") from None
    except UnusableError:
        raise SetupError(f"{path.name} is not a JSON object.") from None


def _refuse_unknown(given: Json, known: set[str] | frozenset[str], what: str) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        raise SetupError(f"{what}: {unknown[0]} is not a setting.")
