"""Was there a legal basis when a photo was taken? Asked where it is filed anew, with the consents that stood then.

Architecture section 9, requirement T99: to have been filed under somebody else is no consent, and to have renewed a
consent since takes none away. A consent on paper stood from its signature on, whenever it was entered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo

from fhir_server.consent.decision import decide
from fhir_server.consent.law import Law
from fhir_server.consent.period import span
from fhir_server.consent.question import Ask, Deny, Permit
from fhir_server.consent.terms import stands
from fhir_server.engine.ports import Head, ResourceStore
from fhir_server.engine.stored import Stored
from fhir_server.engine.window import Window
from fhir_server.kernel.errors import TooCostlyError
from fhir_server.search.parse import parse

_MOST = 1000
_LAST = timedelta(microseconds=1)


class Past:
    """`zone`: where a day begins and ends."""

    def __init__(self, store: ResourceStore, law: Law, zone: tzinfo = UTC) -> None:
        self._store, self._law, self._zone = store, law, zone

    async def decide(self, ask: Ask, stored: datetime) -> Permit | Deny:
        """As of when it was taken by what it says, and by what it does not say when it was `stored`.

        Where that may have been one of several instants, a basis at the first or the last of them is enough.
        """
        histories = await self._histories(ask.patient)
        said = [self._decided(ask, histories, at) for at in self._instants(ask, stored)]
        return next((one for one in said if isinstance(one, Permit)), said[0])

    def _decided(self, ask: Ask, histories: Sequence[Sequence[Stored]], at: datetime) -> Permit | Deny:
        then = [self._version(versions, at) for versions in histories]
        standing = [one for one in then if one is not None and stands(one.resource)]
        head = Head(ask.patient, 0, {one.key: one.version for one in standing})
        asked = replace(ask, instant=at.astimezone(self._zone), taking=True)
        return decide(asked, [one.resource for one in standing], head, self._law)

    def _version(self, versions: Sequence[Stored], at: datetime) -> Stored | None:
        """Oldest first. What was entered later and signed before is the first of them."""
        if (last := next((one for one in reversed(versions) if one.last_updated <= at), None)) is not None:
            return last
        given = span(versions[0].resource.get("dateTime"), self._zone) if versions else None
        return versions[0] if given is not None and given[0] <= at else None

    def _instants(self, ask: Ask, stored: datetime) -> Sequence[datetime]:
        told = ask.facts.when if ask.facts else ()
        spans = [span(text, self._zone) for one in told for text in _ends(one)]
        known = [found for found in spans if found is not None]
        if not known:
            return [stored]
        begin, end = min(first for first, _ in known), max(after for _, after in known)
        return [min(begin, stored), min(end - _LAST, stored)]

    async def _histories(self, patient: str) -> Sequence[Sequence[Stored]]:
        query = parse("Consent", [("patient", f"Patient/{patient}")])
        found = await self._store.find(query, None, _MOST)
        if found.position is not None:
            raise TooCostlyError(f"There are more than {_MOST} consents.")
        newest_first = [
            await self._store.versions(["Consent"], one.key.id, Window(), None, _MOST) for one in found.matches
        ]
        return [versions[::-1] for versions in newest_first]


def _ends(time: object) -> Sequence[object]:
    """Of a dateTime or of a Period."""
    return (time.get("start"), time.get("end")) if isinstance(time, Mapping) else (time,)
