"""A chore: what has run out ends like what is withdrawn.

Architecture section 9: expiry does at `period.end` what withdrawal does. The decision refuses from that instant on;
this tells the Consent so, whereby the worker decides again on what rested on it. Requirement S85.
"""

from datetime import UTC, tzinfo

from fhir_server.consent.period import is_over, span
from fhir_server.consent.terms import WITHDRAWN_AT, WITHDRAWN_BY, adding, in_force
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.clock import Clock, instant
from fhir_server.kernel.json import Json
from fhir_server.privacy.withdrawal_record import EXPIRY
from fhir_server.search.parse import parse

_AT_ONCE = "100"


class Expiry:
    """`server` is who acts. `zone`: where a day ends."""

    def __init__(self, engine: Engine, server: Principal, clock: Clock, zone: tzinfo = UTC) -> None:
        self._engine, self._server, self._clock, self._zone = engine, server, clock, zone

    async def __call__(self) -> int:
        """How many ended now; the rest of a great many in the next round."""
        now = self._clock.now()
        pairs = [("status", "active"), ("period", f"eb{instant(now)}"), ("_count", _AT_ONCE)]
        looking = Call(Interaction.SEARCH_TYPE, self._server, now, "Consent")
        page = await self._engine.found(looking, [parse("Consent", pairs, self._engine.language)])
        ended = 0
        for match in page.matches:
            if self._ended(match.resource) is not None:
                call = Call(Interaction.PATCH, self._server, now, "Consent", match.key.id)
                await self._engine.amend(call, self._ended)
                ended += 1
        return ended

    def _ended(self, consent: Json) -> Json | None:
        """None where it has not run out, by the clinic's clock."""
        period = consent.get("provision", {}).get("period", {})
        over = span(period.get("end"), self._zone)
        if over is None or not in_force(consent) or not is_over(period, self._clock.now().astimezone(self._zone)):
            return None
        passive = {**consent, "status": "inactive"}
        if consent["provision"].get("type") != "permit":
            return passive
        how = {"url": WITHDRAWN_BY, "valueCode": EXPIRY}
        return adding(passive, {"url": WITHDRAWN_AT, "valueInstant": instant(over[1])}, how)
