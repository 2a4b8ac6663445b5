"""The roles as a page: `python -m fhir_server.smart.role_table > docs/roles.md`.

Row S60: roles, types, interactions, elements, purposes. A test compares the page with this, and each cell with the
running server.
"""

import sys
from collections.abc import Iterator

from fhir_server.fhir.definitions import served_types
from fhir_server.smart.roles import LETTERS, Reach, Role, Rule, roles

_HEAD = """# Roles

Made from `fhir_server/smart/roles.toml` by `make roles`; tests compare this page with the file, and every cell with
a running server.

A token acts in one role. What it may do is what its scopes **and** its role allow, of what both reach; no scope
means nothing, and a role that is not below means nothing. A token without a role is a back end's: it acts as
*system*, and only its `system/` scopes count.

## What each is for

The purposes are v3-ActReason codes. A use has the first of them that the client is registered for; where there is
none, every call is refused.

| role | purposes | what it is for |
|---|---|---|
"""

_TYPES = """
## Who may do what with which type

Letters are those of SMART scopes: `c` create, `r` read, versions and history of one resource, `u` update and patch,
`d` delete, `s` search and history of a type. `$…` is an operation. An empty cell is 403.

| after the letters | which resources |
|---|---|
| nothing | all of that type |
| `own` | those in the compartment of the patient who signed in, or who is represented |
| `tied` | those of patients to whom the role's tie holds (below) |
| `free` | those that concern no patient |
| `if` | only those that meet a condition (below) |
| `one` | found within one patient at a time, never across patients |
| `part` | some elements only (below) |
| `fix` | an update changes some elements only (below) |

Several entries in a cell: the first that reaches a resource counts. What is not reached does not exist: 404. A role
with `tied` sees the history of one resource, not of a whole type. Whoever signs in may also read the one resource
that says who they are, under the scope `fhirUser`. Bulk exports are for *system* alone.

"""

_REST = """
## Ties

| role | to whom it is tied |
|---|---|
"""

_TIES = {
    "treatment": "patients with a CareTeam (active, within its period), an Encounter or an Appointment that names the "
    "person, from `FHIR_SERVER_TIE_DAYS` days before its dates to as many after; never a cancelled, declined or "
    "mistaken one. And for at most `FHIR_SERVER_BREAK_GLASS_MINUTES` minutes a patient before whose record the person "
    "broke the glass",
    "complaint": "the patient in context, while a Task with the code `complaint-review` names the person as owner, is "
    "not finished, and its `restriction.period` lasts",
    "relation": "the patient in context, while the person's RelatedPerson is active and names that patient",
}

_BY_WHOM = """
A tie counts only if somebody else than the person whom it ties wrote it: each version of a resource is sealed with
who wrote it. What a person writes on top of a tie that somebody else made neither lengthens nor moves it.
`FHIR_SERVER_SELF_MADE_TIES` lifts this for a clinic of one, and the [compliance report](api/compliance-report.md) shows
it. Why: [ADR 15](adr/0015-ties-are-read-from-the-record.md).
"""


def page() -> str:
    """All of it, as Markdown."""
    known = roles()
    named = "".join(
        f"| {role.name} | {', '.join(role.purposes) or 'those of the registration'} | {role.says} |\n"
        for role in known.values()
    )
    types = "".join(f"{line}\n" for line in _cells(list(known.values())))
    ties = "".join(f"| {role.name} | {_TIES[role.tie]} |\n" for role in known.values() if role.tie)
    details = "".join(f"{line}\n" for role in known.values() for line in _details(role))
    return (
        f"{_HEAD}{named}{_TYPES}{types}{_REST}{ties}{_BY_WHOM}\n## Conditions and elements\n\n"
        f"| role | type | which |\n|---|---|---|\n{details}"
    )


def cell(role: Role, type: str) -> str:
    """What a role may do with a type; empty for nothing."""
    rules = [rule for rule in role.rules if type in rule.types]
    return "; ".join(_entry(rule) for place, rule in enumerate(rules) if not _is_said(rule, rules[:place]))


def _is_said(rule: Rule, before: list[Rule]) -> bool:
    """One that stands before it says as much, without a condition."""
    return any(
        rule.may <= each.may and each.reach is rule.reach and not (each.where or each.masks or each.changes)
        for each in before
    )


def _entry(rule: Rule) -> str:
    letters = "".join(letter for letter in LETTERS if letter in rule.may)
    operations = sorted(deed for deed in rule.may if deed.startswith("$"))
    reach = {Reach.ALL: "", Reach.OWN: "own", Reach.TIED: "tied", Reach.IMPERSONAL: "free"}[rule.reach]
    marks = (("if", rule.where), ("one", rule.one_patient), ("part", rule.masks), ("fix", rule.changes))
    return " ".join(part for part in (letters, *operations, reach, *(mark for mark, set in marks if set)) if part)


def _cells(known: list[Role]) -> Iterator[str]:
    yield f"| | {' | '.join(role.name for role in known)} |"
    yield "|---" * (len(known) + 1) + "|"
    for type in sorted(served_types()):
        cells = [f"`{found}`" if (found := cell(role, type)) else "" for role in known]
        yield f"| {type} | {' | '.join(cells)} |"


def _details(role: Role) -> Iterator[str]:
    for rule in role.rules:
        said = [
            *([f"condition: `{rule.where}`"] if rule.where else []),
            *([f"shown and written: {_listed(rule.only)}"] if rule.only else []),
            *([f"not shown, not written: {_listed(rule.without)}"] if rule.without else []),
            *([f"changed by an update: {_listed(rule.changes)}"] if rule.changes else []),
        ]
        if said:
            yield f"| {role.name} | {', '.join(sorted(rule.types))} | {'; '.join(said)} |"


def _listed(elements: frozenset[str]) -> str:
    return ", ".join(f"`{each}`" for each in sorted(elements))


if __name__ == "__main__":
    sys.stdout.write(page())
