"""What an entry of a bundle requires of the version that is there; each method has its own conditions.

https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.request. One that the method does not have is refused, and
so is an empty one: ignoring `"ifNoneExist": ""` would create what the client wants to have once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.engine.stored import Stored
from fhir_server.kernel.clock import microseconds
from fhir_server.kernel.errors import InvalidRequestError
from fhir_server.kernel.identity import is_version
from fhir_server.kernel.json import Json
from fhir_server.search.types.moment import stretch

_OF_METHOD: Mapping[str, frozenset[str]] = {
    "GET": frozenset({"ifNoneMatch", "ifModifiedSince"}),
    "HEAD": frozenset({"ifNoneMatch", "ifModifiedSince"}),
    "POST": frozenset({"ifNoneExist"}),
    "PUT": frozenset({"ifMatch", "ifNoneMatch"}),
    "PATCH": frozenset({"ifMatch"}),
    "DELETE": frozenset({"ifMatch"}),
}
_BESIDE_CRITERIA: Mapping[str, frozenset[str]] = {**_OF_METHOD, "PUT": frozenset({"ifMatch"}), "DELETE": frozenset()}
"""Where the URL has criteria: which of the matches would a version be of?"""

_ALL = frozenset[str]().union(*_OF_METHOD.values())


@dataclass(frozen=True, slots=True)
class Conditions:
    """`if_none_match` is `*` for a PUT. `modified_since` is the end of the instant, in microseconds since 1970."""

    if_match: int | None = None
    if_none_match: str = ""
    if_none_exist: str = ""
    modified_since: int | None = None

    def know(self, stored: Stored) -> bool:
        """Has the client of a GET this version already? The tag is looked at before the time, and instead of it."""
        if self.if_none_match:
            return stored.is_named_by(self.if_none_match)
        return self.modified_since is not None and microseconds(stored.last_updated) < self.modified_since


NONE = Conditions()


def conditions(method: str, request: Json, *, has_criteria: bool) -> Conditions:
    """Raises InvalidRequestError for a condition that cannot be met or understood."""
    given = {name: request[name] for name in _ALL & request.keys()}
    if not given:
        return NONE
    allowed = (_BESIDE_CRITERIA if has_criteria else _OF_METHOD)[method]
    for name, value in given.items():
        if name not in allowed:
            raise _refused(f"{name} is no condition of this {method}.", name)
        if not isinstance(value, str) or not value.strip():
            raise _refused(f"{name} says nothing.", name)
    if_none_match = given.get("ifNoneMatch", "").strip()
    if method == "PUT" and if_none_match not in {"", "*"}:
        raise _refused("ifNoneMatch of a PUT is * and nothing else; to name a version use ifMatch.", "ifNoneMatch")
    return Conditions(
        version_in(given.get("ifMatch")),
        if_none_match,
        given.get("ifNoneExist", ""),
        _end(given.get("ifModifiedSince")),
    )


def version_in(etag: object) -> int | None:
    """`W/"3"` -> 3. None where there is no tag; 400 where it is not one of ours."""
    if etag is None or etag == "":
        return None
    number = str(etag).strip().removeprefix("W/").strip('"')
    if not is_version(number):
        raise InvalidRequestError('A version is written W/"3".')
    return int(number)


def _end(instant: str | None) -> int | None:
    if instant is None:
        return None
    moment = stretch(instant)
    if moment is None or "T" not in instant:
        raise _refused("ifModifiedSince is an instant.", "ifModifiedSince")
    return moment.high


def _refused(says: str, name: str) -> InvalidRequestError:
    return InvalidRequestError(says, expression=f"request.{name}")
