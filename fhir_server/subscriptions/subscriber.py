"""A subscription as a worker has it before it: what it asks for, under whose rights, and how far it is.

https://hl7.org/fhir/R4/subscription.html#2.46.5
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from fhir_server.engine.call import Call, Interaction
from fhir_server.subscriptions.asked import Asked
from fhir_server.subscriptions.holder import Holder
from fhir_server.subscriptions.ports import Place, Progress

MOST_TRIES = 12
"""After that many, some 25 minutes, a subscription is in error and waits for its client."""

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)


@dataclass(slots=True)
class Subscriber:
    """`version` is that of the Subscription which was read. `looked`: versions not settled that were looked at.

    `rights`: those of its holder as far as they still hold.
    """

    id: str
    version: int
    status: str
    asked: Asked
    holder: Holder
    rights: Holder
    progress: Progress
    looked: set[Place] = field(default_factory=set)

    def is_over(self, now: datetime) -> bool:
        return self.asked.end is not None and self.asked.end <= now

    def changed(self, **fields: Any) -> None:  # noqa: ANN401  whatever field it changes
        self.progress = replace(self.progress, **fields)

    def settle(self, seq: int) -> None:
        """Nothing up to it can still come."""
        if seq > self.progress.settled:
            self.changed(settled=seq)
            self.looked = {place for place in self.looked if place.seq > seq}

    def failed(self, now: datetime, spread: float) -> None:
        """One more try was in vain. `spread`: from 0 to 1, so that not all come at once."""
        failures = self.progress.failures + 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (failures - 1))
        self.changed(failures=failures, due=now + pause * (1 + spread / 2))

    def succeeded(self) -> None:
        self.changed(failures=0, due=None)

    def call(self, interaction: Interaction, now: datetime, request: str = "") -> Call:
        """As the client's own."""
        type = self.asked.query.type
        return Call(interaction, self.rights.principal, now, type, purpose=self.rights.purpose, request=request)
