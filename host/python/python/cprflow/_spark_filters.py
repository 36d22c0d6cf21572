"""Translates filters of Spark to conditions of cprflow with exactly the same meaning.

Spark does not apply a filter again that was pushed down. So a filter is translated only if both keep the same rows,
also for null: a comparison with null keeps no row, and neither does its negation.
"""

from cprflow._conditions import literal

_OPERATORS = {
    "EqualTo": "=",
    "GreaterThan": ">",
    "GreaterThanOrEqual": ">=",
    "LessThan": "<",
    "LessThanOrEqual": "<=",
}
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def condition(filter, types):
    """Return a condition with the meaning of a filter, or None.

    ``types`` maps the columns that can be compared to their types, as ``Column.type`` has them.
    """
    # By name, because Spark 4.0 has no classes of filters.
    name = type(filter).__name__
    if name == "Not":
        inner = condition(filter.child, types)
        return f"not ({inner})" if inner else None
    column = filter.attribute[0] if len(filter.attribute) == 1 else None
    if column not in types:
        return None
    kind = types[column]
    if name == "IsNull":
        return f"{column} is null"
    if name == "IsNotNull":
        return f"{column} is not null"
    if name == "EqualNullSafe":
        return _equal_or_both_null(column, filter.value, kind)
    if name == "In":
        return _one_of(column, filter.value, kind)
    if name == "StringStartsWith":
        return _starts_with(column, filter.value) if kind == "utf8" else None
    if name not in _OPERATORS or (kind == "boolean" and name != "EqualTo"):
        return None
    value = literal(filter.value, kind)
    return f"{column} {_OPERATORS[name]} {value}" if value else None


def _equal_or_both_null(column, value, kind):
    """Return the condition of ``<=>``, which is true or false, also for null."""
    if value is None:
        return f"{column} is null"
    text = literal(value, kind)
    return f"({column} is not null and {column} = {text})" if text else None


def _one_of(column, values, kind):
    if kind == "boolean" or not values:
        return None
    # A null in the list makes the negation true for no row, which conditions cannot say: it has no text.
    texts = [literal(value, kind) for value in values]
    return None if None in texts else f"{column} in ({', '.join(texts)})"


def _starts_with(column, prefix):
    """Return the condition of a prefix. Both Spark and cprflow order texts by code point."""
    low, high = literal(prefix, "utf8"), _after(prefix)
    return f"({column} >= {low} and {column} < {literal(high, 'utf8')})" if high else f"{column} >= {low}"


def _after(prefix):
    """Return the first text after all texts with a prefix; None if there is none."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1])
        if code < _LAST_CODE_POINT:
            following = code + 1
            return prefix[: end - 1] + chr(_SURROGATES.stop if following in _SURROGATES else following)
    return None
