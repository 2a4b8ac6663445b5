"""A request to the authorization server, as authlib's grants read it: a method, headers, and a form or a query.

RFC 6749 sections 3.1 and 3.2: no parameter stands twice; ones that are not known are ignored. What came of it is noted
on it, so that the caller can record it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Payload, OAuth2Request

from fhir_server.smart.clients.client import Client
from fhir_server.smart.grant import Grant

_SECRETS = frozenset(
    {"client_secret", "client_assertion", "code", "code_verifier", "refresh_token", "token", "password", "launch"}
)
_REMOVED = "-removed-"


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from and when; for the log and for limits."""

    now: datetime
    request_id: str = ""
    address: str = ""


class Fields(OAuth2Payload):  # type: ignore[misc]  # authlib has no types
    """The parameters; of one that is repeated the first."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._lists: defaultdict[str, list[str]] = defaultdict(list)
        for name, value in pairs:
            self._lists[name].append(value)
        self._first = {name: values[0] for name, values in self._lists.items()}

    @property
    def data(self) -> dict[str, str]:
        return self._first

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return self._lists

    def require_unrepeated(self) -> None:
        if any(len(values) > 1 for values in self._lists.values()):
            raise InvalidRequestError("A parameter is given twice.")

    @property
    def recorded(self) -> str:
        """Without what opens something."""
        return urlencode([(name, _REMOVED if name in _SECRETS else value) for name, value in self._pairs])


class Asked(OAuth2Request):  # type: ignore[misc]  # authlib has no types
    """`uri` is the address as clients know it. What is decided on the way is noted on it, by authlib and by us."""

    payload: Fields
    client: Client | None

    def __init__(
        self, method: str, uri: str, headers: Mapping[str, str], pairs: Sequence[tuple[str, str]], caller: Caller
    ) -> None:
        super().__init__(method, uri, headers=headers)
        self.payload = Fields(pairs)
        self.caller = caller
        self.grant: Grant | None = None
        self.token_id = ""
        self.claimed_client = ""
        self.refused: OAuth2Error | None = None

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data

    @property
    def now(self) -> datetime:
        return self.caller.now
