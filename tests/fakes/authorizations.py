"""The authorization endpoint's side of the contract, in memory."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from fhir_server.kernel.clock import Clock
from fhir_server.smart.approval import Approval, Pending

CALLBACK = "https://app.example/callback"


class FakeAuthorizations:
    def __init__(self, clock: Clock, callback: str = CALLBACK) -> None:
        self._clock, self.callback = clock, callback
        self.waiting: dict[str, Pending] = {}
        self.approved: dict[str, Approval] = {}
        self.denied: dict[str, str] = {}

    def ask(self, id: str = "r1", **given: Any) -> Pending:
        """An authorization request, found valid."""
        plain = Pending(
            id=id,
            client_id="clinic-app",
            client_name="Clinic App",
            scopes=("openid", "fhirUser", "user/Patient.rs"),
            needs_patient=False,
            patient=None,
            encounter=None,
            prompt=(),
            login_hint=None,
            max_age=None,
            ui_locales=(),
            expires=self._clock.now() + timedelta(minutes=10),
        )
        self.waiting[id] = replace(plain, **given)
        return self.waiting[id]

    async def pending(self, id: str) -> Pending | None:
        found = self.waiting.get(id)
        return found if found and found.expires > self._clock.now() else None

    async def approve(self, id: str, approval: Approval) -> str:
        del self.waiting[id]
        self.approved[id] = approval
        return f"{self.callback}?code=c-{id}"

    async def deny(self, id: str, error: str = "access_denied") -> str:
        del self.waiting[id]
        self.denied[id] = error
        return f"{self.callback}?error={error}"
