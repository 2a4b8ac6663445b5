"""Which type is a kind of which, as far as `is`, `as` and `ofType` need it.

https://hl7.org/fhir/R4/datatypes.html
"""

_PARENT = {
    "code": "string",
    "id": "string",
    "markdown": "string",
    "url": "uri",
    "canonical": "uri",
    "uuid": "uri",
    "oid": "uri",
    "positiveInt": "integer",
    "unsignedInt": "integer",
    "Age": "Quantity",
    "Count": "Quantity",
    "Distance": "Quantity",
    "Duration": "Quantity",
    "MoneyQuantity": "Quantity",
    "SimpleQuantity": "Quantity",
}
_SYSTEM_TYPES = {
    "Boolean": "boolean",
    "Date": "date",
    "DateTime": "dateTime",
    "Decimal": "decimal",
    "Integer": "integer",
    "String": "string",
    "Time": "time",
}
ANY_RESOURCE = frozenset({"Resource", "DomainResource"})
"""The types whose items say themselves what they are, in `resourceType`."""


def is_a(type_name: str, asked: str) -> bool:
    """True where an item of `type_name` is an `asked`; FHIRPath's own type names (`DateTime`) stand for FHIR's."""
    wanted = _SYSTEM_TYPES.get(asked, asked)
    return type_name == wanted or _PARENT.get(type_name) == wanted
