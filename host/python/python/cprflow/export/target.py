"""Where an export writes to: the text after ``--to``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import cprflow

# The parts of a PostgreSQL URL that say which database it is. Others, for example `sslcert` and `passfile`, do not.
_DATABASE_PARAMETERS = ("host", "hostaddr", "port", "dbname", "service")

# A host with or without a port. Other text after the colon, also a longer number, can be a password.
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d{0,5})?")


@dataclass(frozen=True)
class Target:
    """A target. ``address`` can have a password and is only for the library that opens it."""

    kind: Literal["delta", "postgresql"]
    address: str
    # For messages and files: without user, password and keys.
    name: str

    def __repr__(self) -> str:
        return f"Target({self.name})"


def parse(text: str) -> Target:
    """Return the target that a text names. Raises RequestError without repeating the text, which can have a password."""
    if text.startswith("delta:"):
        return _delta(text.removeprefix("delta:"))
    if text.startswith(("postgresql://", "postgres://")):
        return Target("postgresql", text, _postgres_name(text))
    raise cprflow.RequestError("--to must be delta:PATH or postgresql://[USER@]HOST[:PORT]/DATABASE")


def _delta(path: str) -> Target:
    if not path:
        raise cprflow.RequestError("--to delta: needs the path of a directory: delta:PATH")
    if "://" not in path:
        path = os.path.realpath(path)
        return Target("delta", path, path)
    parts = _split(path)
    user, at, host = parts.netloc.rpartition("@")
    # In abfss://CONTAINER@ACCOUNT the part before @ is no user.
    netloc = host if ":" in user else f"{user}{at}{host}"
    return Target("delta", path, f"{parts.scheme}://{netloc}{parts.path}")


def _postgres_name(text: str) -> str:
    parts = _split(text)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name in _DATABASE_PARAMETERS]
    query = "?" + urlencode(kept, safe="/") if kept else ""
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def _split(url: str) -> SplitResult:
    """Return the parts of a URL. Only its authority can have an `@`, and only one.

    A password with `/`, `?` or `#` ends the authority early. Its rest would be taken for a path, which is printed.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise cprflow.RequestError("the URL of --to is not valid") from None
    if url.count("@") != parts.netloc.count("@") or url.count("@") > 1:
        raise cprflow.RequestError(
            "the URL of --to has an @ that does not end the user and password. Percent-encode the characters @ / ? # : "
            "of the user, the password and all other parts: %40 %2F %3F %23 %3A"
        )
    if not all(_HOST.fullmatch(host) for host in parts.netloc.rpartition("@")[2].split(",")):
        raise cprflow.RequestError(
            "the URL of --to has a port that is not a number up to 65535. A user and password must end with an @: "
            "USER:PASSWORD@HOST"
        )
    return parts


def check_apart(target: Target, dataset: str | os.PathLike[str]) -> None:
    """Refuse a directory inside the dataset, or one that contains it."""
    if target.kind == "delta" and "://" not in target.address:
        paths = [target.address, os.path.realpath(dataset)]
        if os.path.commonpath(paths) in paths:
            raise cprflow.RequestError(f"{target.name} and the dataset {paths[1]} must not be inside one another")
