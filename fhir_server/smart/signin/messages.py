"""Tells people what others did to their means of proof: a Communication to them, through the engine.

https://hl7.org/fhir/R4/communication.html. It lies in the record where a clinic's apps look for messages; whoever
took a factor away cannot make it unsaid. A user who is nobody in the record gets the notice at the next sign-in alone.
"""

from collections.abc import Mapping
from datetime import datetime

from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.engine.interactions import Engine
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import parse_reference
from fhir_server.smart.signin.administration import Told
from fhir_server.smart.signin.users import User

_RECIPIENTS = frozenset({"Practitioner", "Patient", "RelatedPerson"})
_WORDS: Mapping[Told, str] = {
    Told.PASSWORD_RESET: "An administrator gave your sign-in a new password. Your second factor is unchanged.",
    Told.FACTOR_RESET_ASKED: (
        "An administrator asked for the second factor of your sign-in to be taken away. If you did not ask for it, "
        "tell the clinic's administration and its privacy officer now."
    ),
    Told.FACTOR_RESET: (
        "The second factor of your sign-in was taken away. The next sign-in enrols another. If you did not ask for "
        "it, tell the clinic's administration and its privacy officer now."
    ),
}
_CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category"


class EngineMessenger:
    """`actor` is who the log says wrote it."""

    def __init__(self, engine: Engine, actor: Principal) -> None:
        self._engine, self._actor = engine, actor

    async def tell(self, user: User, what: Told, at: datetime) -> None:
        key = parse_reference(user.fhir_user) if user.fhir_user else None
        if key is None or key.type not in _RECIPIENTS:
            return
        message = {
            "resourceType": "Communication",
            "status": "completed",
            "category": [{"coding": [{"system": _CATEGORY, "code": "alert"}]}],
            "priority": "urgent",
            "topic": {"text": "Your sign-in"},
            "sent": instant(at),
            "recipient": [{"reference": str(key)}],
            "payload": [{"contentString": _WORDS[what]}],
        }
        await self._engine.create(Call(Interaction.CREATE, self._actor, at, "Communication"), message)
