"""The options of ``spark.read.format("cprflow")``."""

import json
import os
import re
from dataclasses import dataclass, field

from cprflow import RequestError

_NAMES = [
    "path",
    "table",
    "columns",
    "filter",
    "config",
    "tenant",
    "agreement",
    "current",
    "since",
    "irregular",
    "timestamps",
    "accept",
    "partBytes",
    "pushdown",
]
_OF_EXTRACTS = ["config", "tenant", "accept", "partBytes"]
_OF_DATASETS = ["current", "since"]


@dataclass(frozen=True)
class Options:
    """The options after a check. They are sent to every executor, and hold paths instead of keys and policies."""

    path: str
    table: str
    is_dataset: bool
    columns: "tuple[str, ...] | None"
    # Not shown, because a condition can hold a person number.
    filter: "str | None" = field(repr=False)
    config: "str | None"
    tenant: "str | None"
    agreement: "str | None"
    current: bool
    since: "int | dict[str, int] | None"
    irregular: str
    timestamps: str
    accept: "tuple[str, ...]"
    part_bytes: int
    pushdown: bool


def parse(given):
    """Return the options that Spark gives as texts, with names in lower case. Raises RequestError if one is not valid."""
    known = {name.lower(): name for name in _NAMES}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise RequestError(f"there is no option {unknown[0]!r}; the options are {', '.join(_NAMES)}")
    options = {name: given.get(name.lower()) for name in _NAMES}
    for name in ("path", "table"):
        if not options[name]:
            raise RequestError(f"the option {name!r} is missing: .option({name!r}, …)")
    path = _local_path("path", options["path"])
    is_dataset = os.path.isdir(path)
    for name in _OF_EXTRACTS if is_dataset else _OF_DATASETS:
        if options[name] is not None:
            raise RequestError(_misplaced(name, path, is_dataset))
    current = _boolean("current", options["current"] or "false")
    for name in ("since", "agreement"):
        if current and options[name] is not None:
            raise RequestError(
                f"the option {name!r} selects deliveries, and the current tables have no deliveries. Leave out one of "
                f"the options {name!r} and 'current'"
            )
    return Options(
        path=path,
        table=options["table"],
        is_dataset=is_dataset,
        columns=_list(options["columns"]),
        filter=options["filter"] or None,
        config=_local_path("config", options["config"]) if options["config"] else None,
        tenant=options["tenant"],
        agreement=options["agreement"],
        current=current,
        since=_since(options["since"]),
        irregular=options["irregular"] or "map",
        timestamps=options["timestamps"] or "naive",
        accept=_list(options["accept"]) or (),
        part_bytes=_number("partBytes", options["partBytes"] or str(64 << 20), 1),
        pushdown=_boolean("pushdown", options["pushdown"] or "false"),
    )


def _local_path(name, path):
    """Return an absolute path, because executors have other working directories."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", path):
        raise RequestError(
            f"the option {name!r} is a URI, and cprflow reads files. Give the path of a file system that the driver and "
            "all executors have, for example /Volumes/… on Databricks or /lakehouse/default/Files/… on Fabric"
        )
    return os.path.abspath(path)


def _misplaced(name, path, is_dataset):
    if not is_dataset:
        return f"the option {name!r} is for datasets, and {path} is not a directory"
    if name in ("config", "tenant"):
        return (
            f"the option {name!r} is for extracts, and {path} is a directory. A tenant has a dataset of its own: give "
            "its directory as path"
        )
    return f"the option {name!r} is for extracts, and {path} is a directory"


def _list(text):
    """Return the parts of a list with commas; None if there are none."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip()) or None


def _boolean(name, text):
    if text.lower() not in ("true", "false"):
        raise RequestError(f"the option {name!r} must be true or false")
    return text.lower() == "true"


def _number(name, text, least):
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < least:
        raise RequestError(f"the option {name!r} must be a whole number of at least {least}")
    return int(text)


def _since(text):
    """Return a sequence number, or one for each agreement from a JSON object."""
    if text is None:
        return None
    if not text.lstrip().startswith("{"):
        return _number("since", text, 0)
    try:
        cursor = json.loads(text)
    except ValueError:
        cursor = None
    if not isinstance(cursor, dict) or not all(type(number) is int and number >= 0 for number in cursor.values()):
        raise RequestError(
            "the option 'since' must be a sequence number, or a JSON object with one for each agreement: "
            '{"town": 41}'
        )
    return cursor
