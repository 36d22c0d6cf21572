"""The change feed: what ``cprflow deliveries`` prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cprflow
from cprflow import _command


@dataclass(frozen=True)
class FeedDelivery:
    """A delivery that was published, and what became of it."""

    agreement: str
    # The name of the directory, without `delivery=`.
    name: str
    # The number of its publication.
    first: int
    # The number of its newest entry: it was published, or made again.
    sequence: int
    # Whether the dataset has it: it is neither expired nor removed.
    is_kept: bool


def read(
    *, config: str | os.PathLike[str] | None, tenant: str | None, agreement: str | None
) -> list[FeedDelivery]:
    """Return all deliveries of the change feed, in the order of publication.

    The whole feed is read each time. A delivery that expires gets no new number, so the entries above a number are not
    enough to find it.
    """
    arguments = ["deliveries", "--since", "0", "--format", "json", "--quiet"]
    for option, value in [("--config", config), ("--tenant", tenant), ("--agreement", agreement)]:
        if value is not None:
            arguments += [option, os.fspath(value)]
    return deliveries(_entries(arguments))


def _entries(arguments: list[str]) -> list[dict[str, Any]]:
    """Run the command and return what it prints."""
    ended = subprocess.run(
        [sys.executable, "-c", _command._AGAIN, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if ended.returncode != 0:
        raise cprflow.DatasetError(f"cannot read the change feed: {ended.stderr.strip().removeprefix('error: ')}")
    entries: list[dict[str, Any]] = json.loads(ended.stdout)
    return entries


def deliveries(entries: Iterable[dict[str, Any]]) -> list[FeedDelivery]:
    """Return the deliveries to which entries of the feed belong."""
    # The place belongs to a delivery, and the entry of a delivery that was removed has no directory.
    by_place: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for entry in entries:
        by_place.setdefault((entry["agreement"], entry["place"]), []).append(entry)
    found = []
    for (agreement, _), own in by_place.items():
        first = min(own, key=lambda entry: entry["sequence"])
        newest = max(own, key=lambda entry: entry["sequence"])
        if first["directory"] is not None:
            name = first["directory"].rpartition("/")[2].removeprefix("delivery=")
            is_kept = first["kind"] != "expired" and newest["directory"] is not None
            found.append(FeedDelivery(agreement, name, first["sequence"], newest["sequence"], is_kept))
    return sorted(found, key=lambda one: one.first)
