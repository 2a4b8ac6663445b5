"""Step: a call does what its scopes allow within its role, to what these reach.

R-SMART-043, -047, -051 to -063; row S60. Checked in admit, narrow, prepare and disclose: each of them can be the only
one passed.
"""

from collections.abc import Collection

from fhir_server.engine.call import ANONYMOUS, Call, Interaction
from fhir_server.engine.change import Change
from fhir_server.engine.pipeline import Step
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.search.tree import Query
from fhir_server.smart.authorship import SERVER, author_of
from fhir_server.smart.bounds import Bounds
from fhir_server.smart.deeds import deed_of, letter_of
from fhir_server.smart.masks import seen_by
from fhir_server.smart.parts import whole_of
from fhir_server.smart.place import Place
from fhir_server.smart.reaching import NoTies, Ties, asked_of, reached, reaches
from fhir_server.smart.rights import SHARED_WITH_PATIENTS, Granted, Right, Rights, rights_of
from fhir_server.smart.roles import SYSTEM, Reach

_ENTRY_BY_ENTRY = frozenset({Interaction.BATCH, Interaction.TRANSACTION})
_DRAWS_UP = frozenset({"book", "break-glass", "cancel", "erase", "hold", "merge", "unmerge"})
"""Operations that write something beside what they are asked of: that is the server's own, and whole."""

_ASKS = frozenset({"rights-request"})
"""Of these what is written is the caller's own word, drawn up by the server."""

_LISTS = frozenset({Interaction.SEARCH_TYPE, Interaction.SEARCH_SYSTEM})
_EVERY_VERSION = frozenset({Interaction.HISTORY_TYPE, Interaction.HISTORY_SYSTEM})


class Access(Step):
    """`base` is the server's own FHIR base: an absolute reference under it is a reference to one of its patients.

    Without `ties` nobody is tied to anybody.
    """

    def __init__(self, base: str, ties: Ties | None = None) -> None:
        self._base, self._ties = base, ties or NoTies()
        self._bounds = Bounds(self._ties)

    async def admit(self, call: Call) -> None:
        if call.principal is ANONYMOUS:
            raise UnauthenticatedError("A bearer token is needed.")
        rights = rights_of(call.principal)
        if not rights.purpose:
            raise ForbiddenError("The client is not registered for any purpose that this role has.")
        if call.interaction in _ENTRY_BY_ENTRY:
            return
        if call.type is None:
            _require_everywhere(call, rights)
        else:
            right = _required(call, rights, call.type)
            if call.interaction in _EVERY_VERSION and right.tied and _is_of_several(rights):
                raise ForbiddenError("Your role sees the history of a resource, not of a whole type.")

    async def narrow(self, call: Call, query: Query) -> Query:
        rights = rights_of(call.principal)
        return await self._bounds.of(call, rights, _required(call, rights, query.type), query)

    async def prepare(self, call: Call, change: Change) -> Change:
        """On the stored and on the new version: neither may lie outside."""
        rights = rights_of(call.principal)
        right = _required(call, rights, str(call.type))
        if call.operation in _ASKS and change.key.type != call.type:
            return change.written_by(author_of(call.principal))
        if call.operation in _DRAWS_UP and change.key.type != call.type:
            return change.written_by(SERVER)
        change = change.written_by(author_of(call.principal))
        if right.whole:
            return change
        before, was = None, Place.of_stored(change.previous) if change.previous is not None else None
        if was is not None:
            before = await self._reached(call, rights, right, was)
            if before is None:
                raise NotFoundError("There is no resource with this id.")
        if change.resource is None:
            return change
        place = Place.of_new(change, change.resource, self._base, call.instant)
        after = await self._reached(call, rights, right, place)
        if after is None:
            raise ForbiddenError("The resource would lie outside of what the token and the role reach.")
        if after.rule.reach is Reach.OWN and not place.concerned <= {rights.own, *(was.concerned if was else ())}:
            raise ForbiddenError("Who writes into a record of their own writes into nobody else's.")
        return _partly(change, before, after)

    async def disclose(self, call: Call, stored: Stored) -> Stored | None:
        rights = rights_of(call.principal)
        right = rights.on(deed_of(call), stored.key.type)
        if right is None:
            return None
        if right.whole:
            return stored
        place = Place.of_stored(stored)
        granted = await self._reached(call, rights, right, place)
        return stored if granted and (not granted.rule.one_patient or _keeps_within(call, place)) else None

    async def _reached(self, call: Call, rights: Rights, right: Right, place: Place) -> Granted | None:
        if asked := asked_of(rights, right, place):
            seen = place.source if isinstance(place.source, Stored) else None
            await self._ties.know(call, rights, asked, seen)
        return reached(rights, right, place, call.trace.ties)


def may_read(call: Call, stored: Stored) -> bool:
    """May a write that succeeded be answered with the resource? `u` and `c` do not imply `r` (R-SMART-048).

    Whoever sees only a part of it is not shown the whole; nor is anybody whose tie was not looked up for the write.
    """
    rights = rights_of(call.principal)
    right = rights.on("r", stored.key.type)
    if right is None:
        return False
    granted = reached(rights, right, Place.of_stored(stored), call.trace.ties)
    return granted is not None and seen_by(granted.rule, stored) is stored


def reads_type(call: Call, type: str) -> bool:
    """Do scopes and role let the caller read this type at all?"""
    return rights_of(call.principal).on("r", type) is not None


def is_granted(call: Call, type: str) -> bool:
    """Do scopes and role let the caller do this, whatever it is, on this type as well?"""
    return rights_of(call.principal).on(deed_of(call), type) is not None


def reaches_all(call: Call, type: str) -> bool:
    """Does what the operation looks at of this type, or else a search of it, reach all of them, whosever they are?"""
    rights = rights_of(call.principal)
    right = rights.on(deed_of(call), type) or rights.on("s", type)
    if right is None or right.meets is not None:
        return False
    rule = right.rules[0].rule
    return rule.reach is Reach.ALL and not rule.where


def sees_all(call: Call, type: str) -> bool:
    """Does a search of this type reach whatever is stored of it, whosever it is?"""
    right = rights_of(call.principal).on("s", type)
    return right is not None and right.whole


def may_export(call: Call) -> bool:
    """Is the caller in a role that takes out what it may read in bulk? Each type and line is decided by itself."""
    role = rights_of(call.principal).role
    return role is not None and role.exports


def may_name(call: Call, key: ResourceKey, access: Collection[str]) -> bool:
    """May a write that refers to it succeed or fail by whether it exists? `access`: the compartments it lies in."""
    rights = rights_of(call.principal)
    right = rights.on(deed_of(call), str(call.type))
    if right is None or (right.within is not None and right.within not in access):
        return right is not None and key.type in SHARED_WITH_PATIENTS
    if right.whole or key.type in SHARED_WITH_PATIENTS:
        return True
    place = Place(key, tuple(access), (), call.instant, {})
    reading = rights.on("r", key.type)
    known = (*right.rules, *(each for each in (reading.rules if reading else ()) if each.rule.reach is Reach.ALL))
    return any(reaches(rights, granted, place, call.trace.ties) for granted in known if granted.meets is None)


def _keeps_within(call: Call, place: Place) -> bool:
    """Row T64: whatever brought it into a list, as by an include, one list is of one patient."""
    if call.interaction not in _LISTS:
        return True
    within = call.trace.within
    left = frozenset(place.patients) if within is None else within & frozenset(place.patients)
    if left:
        call.trace.within = left
    return bool(left)


def _required(call: Call, rights: Rights, type: str) -> Right:
    right = rights.on(deed_of(call), type)
    if right is None:
        raise ForbiddenError(f"Neither scopes nor role allow {call.interaction} on {type}.")
    return right


def _require_everywhere(call: Call, rights: Rights) -> None:
    """A history of everything is a back end's; in a search each type is decided by itself."""
    letter = letter_of(deed_of(call))
    person = rights.role is not None and rights.role.name != SYSTEM
    if not letter or not rights.anywhere(letter) or (person and call.interaction is Interaction.HISTORY_SYSTEM):
        raise ForbiddenError(f"Neither scopes nor role allow {call.interaction}.")


def _is_of_several(rights: Rights) -> bool:
    """A role that is about one patient sees all the versions of that patient's."""
    return rights.own is None


def _partly(change: Change, before: Granted | None, after: Granted) -> Change:
    assert change.resource is not None
    rule = after.rule
    if not (rule.masks or rule.changes):
        return change
    previous = change.previous if before else None
    return change.with_resource(
        whole_of(rule, change.resource, previous.resource if previous and not previous.deleted else None)
    )
