"""Which texts in a transaction stand for what it writes: the fullUrls of its entries, and what is relative to them.

https://hl7.org/fhir/R4/bundle.html#references, https://hl7.org/fhir/R4/http.html#trules
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fhir_server.engine.bundle_entries import Entry
from fhir_server.engine.integrity import LOG
from fhir_server.fhir.reference_places import expression_of, reference_places
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

_RESTFUL = re.compile(r"(?P<root>https?://\S+)/(?P<local>[A-Z][A-Za-z]{0,63}/[A-Za-z0-9\-.]{1,64})", re.ASCII)


@dataclass(slots=True)
class Links:
    """`absolute`: text -> reference. `relative`: the same for entries whose fullUrl has that root.

    `of_log`: fullUrls of AuditEvents, which get their ids when they are committed.
    """

    absolute: dict[str, str] = field(default_factory=dict)
    relative: dict[str, dict[str, str]] = field(default_factory=dict)
    of_log: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, targets: Iterable[tuple[Entry, ResourceKey]]) -> "Links":
        links = cls()
        for entry, key in targets:
            if not entry.full_url:
                continue
            if key.type == LOG:
                links.of_log.add(entry.full_url)
                continue
            links.absolute[entry.full_url] = str(key)
            if (restful := _RESTFUL.fullmatch(entry.full_url)) and restful["local"] != str(key):
                links.relative.setdefault(restful["root"], {})[restful["local"]] = str(key)
        return links

    def within(self, entry: Entry) -> Mapping[str, str]:
        """What a text in this entry's resource stands for."""
        restful = _RESTFUL.fullmatch(entry.full_url) if self.relative else None
        local = self.relative.get(restful["root"]) if restful else None
        return {**self.absolute, **local} if local else self.absolute

    def refuse_log(self, resource: Json | None) -> None:
        """422 for a reference that nobody could resolve yet."""
        for steps, text in reference_places(resource or {}) if self.of_log else ():
            if text in self.of_log:
                raise UnprocessableError(
                    "An AuditEvent gets its id when it is committed: nothing beside it can refer to it.",
                    expression=expression_of(resource or {}, steps),
                )


def claimed_id(entry: Entry, base: str) -> str:
    """The id under which a fullUrl says that the resource is to be found on this server; empty for any other."""
    restful = _RESTFUL.fullmatch(entry.full_url)
    return restful["local"].rpartition("/")[2] if restful and restful["root"] == base else ""
