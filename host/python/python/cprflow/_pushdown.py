"""Translates a polars predicate to a condition of cprflow, as far as both have the same meaning.

The predicate is applied again to the rows that come back. So a condition may let more rows through than the predicate,
but never fewer: everything whose meaning is not exactly known is left out.
"""

import datetime
import io
import json

from cprflow._conditions import literal

_OPERATORS = {"Eq": "=", "NotEq": "!=", "Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">="}
_MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_EPOCH = datetime.datetime(1970, 1, 1)
_SECONDS = {"Nanoseconds": 10**9, "Microseconds": 10**6, "Milliseconds": 10**3}


def conditions(predicate, types):
    """Return the conditions that follow from a predicate; all of them hold for every row that the predicate keeps.

    ``types`` maps the columns that can be compared to their types, as ``Column.type`` has them.
    """
    try:
        tree = json.loads(predicate.meta.serialize(format="json"))
    except Exception:
        # The format belongs to polars and can change. Without a condition all rows are read, and polars filters them.
        return []
    return [condition for part in _conjuncts(tree) if (condition := _condition(part, types))]


def _conjuncts(tree):
    """Return the parts of a predicate that must all hold."""
    binary = _node(tree, "BinaryExpr")
    if binary and binary.get("op") in ("And", "LogicalAnd"):
        return _conjuncts(binary["left"]) + _conjuncts(binary["right"])
    return [tree]


def _condition(tree, types, depth=0):
    """Return a condition with the same meaning as a predicate, or None."""
    # The parser of conditions has a limit too.
    if depth > 40:
        return None
    column = _column(tree, types)
    if column is not None:
        return f"{column} = true" if types[column] == "boolean" else None
    binary = _node(tree, "BinaryExpr")
    if binary:
        operator = binary.get("op")
        if operator in ("And", "LogicalAnd", "Or", "LogicalOr"):
            left = _condition(binary["left"], types, depth + 1)
            right = _condition(binary["right"], types, depth + 1)
            word = "and" if operator.endswith("And") else "or"
            return f"({left} {word} {right})" if left and right else None
        return _comparison(_OPERATORS.get(operator), binary["left"], binary["right"], types)
    function = _node(tree, "Function")
    return _function(function, types, depth) if function else None


def _comparison(operator, left, right, types):
    column = _column(left, types)
    if column is None:
        column, right, operator = _column(right, types), left, _MIRRORED.get(operator)
    if column is None or operator is None:
        return None
    if types[column] == "boolean" and operator not in ("=", "!="):
        return None
    value = _literal(right, types[column])
    return f"{column} {operator} {value}" if value else None


def _function(function, types, depth):
    name, arguments = function.get("function"), function.get("input") or [None]
    name = name.get("Boolean") if isinstance(name, dict) and len(name) == 1 else None
    if name == "Not" and len(arguments) == 1:
        inner = _condition(arguments[0], types, depth + 1)
        return f"not ({inner})" if inner else None
    column = _column(arguments[0], types)
    if column is None:
        return None
    if name == "IsNull":
        return f"{column} is null"
    if name == "IsNotNull":
        return f"{column} is not null"
    if types[column] == "boolean":
        return None
    if _node(name, "IsBetween") == {"closed": "Both"} and len(arguments) == 3:
        low, high = (_literal(argument, types[column]) for argument in arguments[1:])
        return f"{column} between {low} and {high}" if low and high else None
    if _node(name, "IsIn") == {"nulls_equal": False} and len(arguments) == 2:
        values = _list(arguments[1], types[column])
        return f"{column} in ({', '.join(values)})" if values else None
    return None


def _node(tree, name):
    """Return the content of a node of that name, or None."""
    return tree.get(name) if isinstance(tree, dict) and len(tree) == 1 else None


def _column(tree, types):
    name = _node(tree, "Column")
    return name if isinstance(name, str) and name in types else None


def _literal(tree, kind):
    """Return a literal of a column's type as text of a condition, or None."""
    node = _node(tree, "Literal")
    dynamic = _node(_node(node, "Dyn"), "Int")
    if dynamic is not None:
        return literal(dynamic, kind)
    scalar = _node(node, "Scalar")
    if not isinstance(scalar, dict) or len(scalar) != 1:
        return None
    ((polars_type, value),) = scalar.items()
    if polars_type == "Date" and isinstance(value, int):
        return literal(_moment(value * 86_400, datetime.date), kind)
    if polars_type == "Datetime" and isinstance(value, list) and len(value) == 3:
        number, unit, zone = value
        seconds, rest = divmod(number, _SECONDS.get(unit, 0) or 1)
        return None if zone is not None or rest or unit not in _SECONDS else literal(_moment(seconds), kind)
    if polars_type.startswith(("Int", "UInt")) or polars_type in ("String", "Boolean"):
        return literal(value, kind)
    return None


def _moment(seconds, kind=datetime.datetime):
    try:
        moment = _EPOCH + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return None
    return moment.date() if kind is datetime.date else moment


def _list(tree, kind):
    """Return the values of a list as texts of a condition, or None if one of them has no such text."""
    node = _node(tree, "Literal")
    encoded = _node(node, "Series") or _node(_node(node, "Scalar"), "List")
    if not isinstance(encoded, list):
        return None
    import polars

    try:
        values = polars.read_ipc_stream(io.BytesIO(bytes(encoded))).to_series().to_list()
    except Exception:
        # Another version of polars can encode lists in another way.
        return None
    texts = [literal(value, kind) for value in values]
    return None if None in texts else texts
