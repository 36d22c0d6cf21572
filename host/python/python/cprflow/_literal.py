"""Values as texts of conditions."""

import datetime


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
    if kind == "timestamp[us]" and isinstance(value, datetime.datetime) and value.microsecond == 0:
        return f"'{value.isoformat(sep=' ')}'" if value.tzinfo is None else None
    return None
