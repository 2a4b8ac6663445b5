"""A phone with a key of its own, as far as the server sees one (RFC 9449)."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

from httpx2 import Response
from joserfc import jwt
from joserfc.jwk import ECKey

from fhir_server.kernel.identity import random_id
from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess
from tests.samples import jpeg, media

KEY = ECKey.generate_key("P-256")


@dataclass(frozen=True, slots=True)
class Device:
    clinic: InProcess
    token: str = ""
    key: ECKey = field(default_factory=lambda: KEY)

    def proof(self, method: str, path: str, **claims: Any) -> str:
        ath = base64.urlsafe_b64encode(hashlib.sha256(self.token.encode()).digest()).rstrip(b"=").decode()
        said = {
            "jti": random_id(),
            "htm": method,
            "htu": f"{self.clinic.base}{path}",
            "iat": int(self.clinic.clinic.surface.clock.now().timestamp()),
            **({"ath": ath} if self.token else {}),
            **claims,
        }
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.as_dict(private=False)}
        return jwt.encode(header, said, self.key, algorithms=["ES256"])

    async def ask(self, method: str, path: str, body: Json | bytes | str = b"", **more: str) -> Response:
        headers = {"Authorization": f"DPoP {self.token}", "DPoP": self.proof(method, path)}
        return await Caller(self.clinic.http, headers).ask(method, f"/fhir{path}", body, **more)

    async def photo(self, patient_id: str, **more: Any) -> Response:
        return await self.ask("POST", "/Media", media(patient_id, jpeg(), **more))
