"""What a clinic's server speaks and says of itself, with the search parameters that are in force at that moment.

https://hl7.org/fhir/R4/http.html#capabilities. Part of the composition root.
"""

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from importlib.metadata import version
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fhir_server.api.offered import operations, system_interactions, type_interactions
from fhir_server.fhir.capability import Offer, statements
from fhir_server.fhir.definitions import served_types
from fhir_server.kernel.clock import Clock, instant
from fhir_server.search.described import described
from fhir_server.search.language import Language
from fhir_server.search.registry import Registry, parameters_of
from fhir_server.settings import Settings
from fhir_server.store.layouts import Layouts
from fhir_server.store.reindexing import Reindexing
from fhir_server.variables import PREFIX, SettingsError

_log = logging.getLogger("fhir_server.index")

_ENDPOINTS = {"authorize": "authorize", "token": "token", "introspect": "introspect", "revoke": "revoke"}
"""As the CapabilityStatement's extension names them."""


def speaking(base: str, settings: Settings, layouts: Layouts) -> Callable[[], Language]:
    """How searches are understood. Raises SettingsError for a time zone that this machine does not know."""
    zone = zone_of(settings)

    @lru_cache(maxsize=1)
    def by(registry: Registry) -> Language:
        return Language(base, zone, settings.chain_depth, registry)

    return lambda: by(layouts.active)


def inside(settings: Settings) -> tuple[str, ...]:
    """The parameters that are to be found by any part of their text, by the names under which they are indexed.

    Raises SettingsError for what is no text that can be searched.
    """
    found: set[str] = set()
    for name in filter(None, settings.search_inside.split(",")):
        type, _, code = name.partition(".")
        parameter = parameters_of(type).by_code.get(code) if type in served_types() else None
        if parameter is None or not parameter.modifiers & {"contains", "text"}:
            raise SettingsError(f"{PREFIX}SEARCH_INSIDE names a parameter that does not know :contains or :text.")
        found.update(f"{type}.{each}" for each in parameter.indexed_as)
    return tuple(sorted(found))


async def warn_of_old_rows(settings: Settings, reindexing: Reindexing) -> None:
    """Searches stay right without it, but by what changed they are slow, or not known yet."""
    wanted = await reindexing.wanted(inside(settings))
    if await reindexing.is_due(wanted.layout):
        _log.warning("The search index is of an older version, or lacks a SearchParameter: run fhir-server reindex.")


def saying(base: str, clock: Clock, layouts: Layouts, *, delete_several: bool) -> Callable[[], Mapping[str, bytes]]:
    """What `metadata` answers, by mode."""

    @lru_cache(maxsize=1)
    def said(registry: Registry) -> Mapping[str, bytes]:
        offer = Offer(
            base,
            version("aesthetic-fhir-server"),
            instant(clock.now()),
            served_types(),
            partial(described, registry=registry),
            type_interactions(),
            system_interactions(),
            operations(),
            delete_several,
            {name: f"{base.removesuffix('/fhir')}/auth/{path}" for name, path in _ENDPOINTS.items()},
        )
        return statements(offer)

    return lambda: said(layouts.active)


def zone_of(settings: Settings) -> ZoneInfo | None:
    """None for UTC. Raises SettingsError for a time zone that this machine does not know."""
    try:
        return None if settings.time_zone == "UTC" else ZoneInfo(settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingsError(f"{PREFIX}TIME_ZONE names no time zone that is known here.") from None
