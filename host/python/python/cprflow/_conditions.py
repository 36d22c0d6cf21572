"""What conditions can compare, and values as texts of conditions."""

import datetime

from cprflow._errors import RequestError

# A text with fewer characters has no person number.
_DIGITS = 10


def comparable(table):
    """Return the types of the columns in which a condition sees the values that the rows show.

    A tenant's policy can replace person numbers in texts by ``[number]``. Such a text is null to conditions, so the columns
    in which it can be are left out.
    """
    return {
        column.name: column.type
        for column in table.schema
        if not column.type.startswith("map") and not (table._has_policy and _can_have_number(column))
    }


def _can_have_number(column):
    # A column of person numbers is not among them: if a policy replaces it, conditions on it are refused.
    is_short = column.length is not None and column.length < _DIGITS
    return column.type == "utf8" and column.kind != "pnr" and not is_short


def takes(table, condition):
    """Return whether a table takes a condition: under a policy, some columns cannot be compared."""
    try:
        table.scan(filter=condition)
    except RequestError:
        return False
    return True


def literal(value, kind):
    """Return a value of a column's type as text of a condition, or None if it has no such text."""
    if kind == "utf8" and isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if kind == "int64" and isinstance(value, int) and not isinstance(value, bool):
        return str(value) if -(2**63) <= value < 2**63 else None
    if kind == "boolean" and isinstance(value, bool):
        return "true" if value else "false"
    if kind == "date32" and isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return f"'{value.isoformat()}'"
    # Conditions are about Danish local time, so points in time have no text.
    if kind == "timestamp[us]" and isinstance(value, datetime.datetime) and value.microsecond == 0:
        return f"'{value.isoformat(sep=' ')}'" if value.tzinfo is None else None
    return None
