"""What a running demo says of itself in `demo.json`, so that commands and scripts find it.

Its fields are fixed: scripts outside rely on them.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fhir_server.cli.faults import CommandError
from fhir_server.kernel import json
from fhir_server.kernel.errors import FhirError
from fhir_server.kernel.json import Json
from fhir_server.settings import Settings

NAME = "demo.json"


def write(settings: Settings, clients: Sequence[Json] = (), users: Sequence[Mapping[str, str]] = ()) -> Path:
    """Complete and of mode 600 before it has its name."""
    place = settings.data_dir / NAME
    content = {
        "base_url": settings.base_url,
        "fhir_base": f"{settings.base_url}/fhir",
        "issuer": settings.base_url,
        "mongo_uri": settings.mongo_uri,
        "clients": clients,
        "users": list(users),
    }
    draft = place.with_name(f".{NAME}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(json.encode(content))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(place)
    return place


def beside(settings: Settings) -> Settings:
    """The settings of the server that runs on this data directory. Raises CommandError where none was started."""
    if settings.mongo_uri:
        return settings
    found = told(settings)
    if found is None:
        place = settings.data_dir / NAME
        raise CommandError(f"There is no running server: neither FHIR_SERVER_MONGO_URI nor {place} names one.")
    return replace(settings, mongo_uri=found["mongo_uri"], base_url=found["base_url"])


def told(settings: Settings) -> Json | None:
    """What the demo on this data directory said of itself when it was last started."""
    try:
        found: Json = json.decode((settings.data_dir / NAME).read_bytes())
    except (OSError, FhirError):
        return None
    return found
