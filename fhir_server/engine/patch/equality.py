"""When two JSON values are equal: of the same type, numbers by their value.

RFC 6902 section 4.6
"""

from decimal import Decimal


def same(left: object, right: object) -> bool:
    """1 equals 1.0 and 1e0; true is no number, and the order of an object's members does not count."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return _kind(left) is _kind(right) and left == right


def _kind(value: object) -> type:
    return Decimal if type(value) is int or isinstance(value, Decimal) else type(value)
