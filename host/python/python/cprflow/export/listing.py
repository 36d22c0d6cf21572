"""The list of a dataset's exports, with which the proof of an erasure names targets that have not caught up.

``<dataset>/_exports/`` has one file for each target. It has neither passwords nor values of a person's record.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import os
import pathlib
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any

import cprflow
from cprflow.export.errors import TargetError
from cprflow.export.steps import reached
from cprflow.export.target import Target

_FORMAT = 1

# How messages name what a target has.
CONTENTS = {"current": "current tables", "deliveries": "deliveries"}


class Listing:
    """The file of one target. Also keeps other exports away from the target while it is open."""

    def __init__(
        self,
        dataset: str | os.PathLike[str],
        target: Target,
        *,
        identity: str,
        schema: str | None,
        started: str,
        is_listed: bool,
    ) -> None:
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        self._path = pathlib.Path(dataset) / "_exports" / f"{target.kind}-{digest}.json"
        self._head = {"format": _FORMAT, "kind": target.kind, "target": target.name, "schema": schema}
        self._is_listed = is_listed
        self._lock: int | None = None
        self._started = started
        self._before: dict[str, Any] | None = None
        self.tables: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Listing:
        if self._is_listed:
            try:
                self._open()
            except OSError as error:
                raise cprflow.FileError(
                    f"cannot write {self._path.parent}: {error.strerror}. Without this file, the proof of an erasure does not name "
                    "the target. Run the export as the user who runs `cprflow sync`, or add --unlisted."
                ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._lock = os.open(self._path.with_suffix(".lock"), flags, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise cprflow.DatasetError(
                f"another export to {self._head['target']} is running. Wait until it has ended."
            ) from None
        try:
            self._before = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            pass
        except ValueError:
            raise cprflow.DatasetError(f"{self._path} is damaged. Remove it, then export all tables again.") from None

    def check(self, content: str, tenant: str | None) -> None:
        """Refuse a target that has something else. Reads what the tables of the target have."""
        self._head |= {"content": content, "tenant": tenant}
        if self._before is not None:
            if (self._before["content"], self._before["tenant"]) != (content, tenant):
                raise TargetError(
                    f"{self._head['target']} has the {CONTENTS[self._before['content']]}, and not the {CONTENTS[content]}. "
                    f"Export to another target. If the old one was deleted, remove {self._path}."
                )
            self.tables = self._before["tables"]

    def begin(self, tables: Iterable[str], found: Iterable[str], sequences: Collection[str] | None) -> None:
        """Record the target before anything is written to it.

        ``tables`` are those that the run writes, ``found`` are those that the target has, and ``sequences`` are the
        agreements of the change feed. Without an entry, a run that is killed would leave a table that no file names.
        """
        for table in {*tables, *found}:
            nothing: dict[str, Any] = {"generation": 0} if sequences is None else {"sequences": dict.fromkeys(sequences, 0)}
            self.tables.setdefault(table, {**nothing, "cleaned": None})
        for table in tables:
            for agreement in sequences or ():
                self.tables[table]["sequences"].setdefault(agreement, 0)
        self._write(finished=None)
        reached("listed")

    def exported(
        self,
        table: str,
        *,
        generation: int | None,
        sequences: dict[str, int] | None,
        agreement: str | None,
        agreements: Iterable[str],
        is_clean: bool,
    ) -> None:
        """Note what a table has, and since when.

        ``agreement`` is the one to which the run was limited, ``agreements`` are those of which the table had rows before,
        and ``is_clean`` says that no file of an older version is left.
        """
        before = self.tables.get(table, {})
        new: dict[str, Any]
        if sequences is None:
            new = {"generation": generation, "exported": self._started}
            number: Any = generation
        else:
            number = {**dict.fromkeys(agreements, 0), **before.get("sequences", {}), **sequences}
            # A run that is limited to an agreement leaves the rows of the others.
            done = number if agreement is None else {agreement}
            new = {"sequences": number, "exported": {**before.get("exported", {}), **dict.fromkeys(done, self._started)}}
        cleaned = (number, self._started) if is_clean else (before.get("cleaned"), before.get("cleaned_at"))
        self.tables[table] = {**new, "cleaned": cleaned[0], "cleaned_at": cleaned[1]}

    def finish(self) -> None:
        """Record what the target has now."""
        reached("before-listing")
        self._write(finished=now())
        reached("finished")

    def _write(self, finished: str | None) -> None:
        if not self._is_listed:
            return
        times = {"started": self._started, "finished": finished, "written_by": f"cprflow {cprflow.__version__}"}
        text = json.dumps({**self._head, **times, "tables": self.tables}, indent=2) + "\n"
        try:
            self._replace(text)
        except OSError as error:
            raise cprflow.FileError(f"cannot write {self._path}: {error.strerror}. Run the export again.") from None

    def _replace(self, text: str) -> None:
        part = self._path.with_suffix(".part")
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def now() -> str:
    """Return the time (UTC) as the files have it."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
