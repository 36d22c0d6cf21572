"""The command ``cprflow export``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

import cprflow
from cprflow.export import Exported, run
from cprflow.export.errors import redact

_DESCRIPTION = """\
Export a dataset to Delta tables or PostgreSQL

Without --since, each table of the target becomes equal to the current table of the dataset, with the
rows of the newest generation. Persons who were erased, ended or left the scope are no longer in the
target. With --since, the target gets the rows of every delivery once; rows of deliveries that were
made again are replaced, and those of deliveries that were removed are deleted.

An export that was interrupted is completed by the next one. Repeating it changes nothing.
"""

_EPILOG = """\
Exit codes:
  0  exported, or nothing to do
  2  failed

Examples:
  cprflow export dataset/ --to delta:/srv/lake/cpr
  cprflow export dataset/ --to delta:/srv/lake/cpr --vacuum 0
  cprflow export tenants/schools --to postgresql://db.example/schools --table person --table address
  cprflow export dataset/ --to postgresql://db.example/cpr --schema deliveries --since 0 --config cprflow.toml

The password of PostgreSQL comes from PGPASSWORD or ~/.pgpass. All rules: docs/export.md
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _fail(f"{redact(message)}\n\nFor more information, try 'cprflow export --help'.")


def main(arguments: Sequence[str]) -> NoReturn:
    """Run the command and exit with its exit code."""
    options = _parser().parse_args(arguments)
    try:
        done = run(
            options.dataset,
            options.to,
            since=options.since,
            tables=options.table,
            schema=options.schema,
            timestamps=options.timestamps,
            config=options.config,
            tenant=options.tenant,
            agreement=options.agreement,
            vacuum=options.vacuum,
            listed=not options.unlisted,
            progress=_progress if sys.stderr.isatty() and not options.quiet else None,
        )
    except (cprflow.Error, ImportError) as error:
        _fail(str(error))
    except Exception as error:
        # The text of an error that nobody expected can have values of rows, and so can a traceback.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} at {os.path.basename(place.filename)}:{place.lineno}"
        _fail(f"a bug in cprflow: {where}. Report this line, and never data of persons")
    _write(_json(done) if options.format == "json" else _text(done))
    sys.exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="cprflow export",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("dataset", metavar="DATASET", help="the directory in which `cprflow sync` publishes, for everybody or for a tenant")
    add("--to", metavar="TARGET", required=True, help="delta:PATH, or postgresql://[USER@]HOST[:PORT]/DATABASE")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--current", action="store_true", help="export the current tables. This is the default")
    what.add_argument(
        "--since",
        metavar="SEQUENCE",
        type=_number("SEQUENCE"),
        help="export the deliveries with a higher number in the change feed; 0 for all. Later runs continue: use the same number",
    )
    add("--table", metavar="NAME", action="append", default=[], help="export only this table; can be repeated")
    add("--schema", metavar="NAME", default="cpr", help="the schema in PostgreSQL. Default: cpr")
    add(
        "--timestamps",
        choices=["ntz", "utc"],
        default="ntz",
        help="ntz: Danish local time, without a time zone. utc: points in time. Default: ntz",
    )
    add(
        "--vacuum",
        metavar="HOURS",
        type=_number("HOURS"),
        default=48,
        help="remove files of Delta that were replaced more than HOURS ago; 0 after an erasure. Default: 48",
    )
    add("--unlisted", action="store_true", help="do not record the target in the dataset: proofs of erasures do not name it")
    feed = parser.add_argument_group("Change feed, with --since")
    feed.add_argument(
        "--config", metavar="FILE", help="the configuration. Default: CPRFLOW_CONFIG, otherwise ./cprflow.toml"
    )
    feed.add_argument("--tenant", metavar="NAME", help="the tenant that the dataset belongs to")
    feed.add_argument("--agreement", metavar="NAME", help="export only deliveries of this agreement")
    output = parser.add_argument_group("Output")
    output.add_argument("--format", choices=["text", "json"], default="text", help="format of the result. Default: text")
    output.add_argument("-q", "--quiet", action="store_true", help="print only errors on standard error: no progress")
    return parser


def _number(name: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise argparse.ArgumentTypeError(f"{name} must be a whole number, 0 or higher")
        return int(text)

    return parse


def _progress(done: int, count: int, table: str) -> None:
    # Clears the rest of the line, because the last name may be longer.
    print(f"\r{done + 1}/{count} {table}\x1b[K", end="" if done + 1 < count else "\r\x1b[K", file=sys.stderr, flush=True)


def _write(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The reader has seen enough. Python would flush again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _fail(f"the export is complete, but standard output cannot be written: {error.strerror}")


def _json(done: Exported) -> str:
    return json.dumps(dataclasses.asdict(done), indent=2)


def _text(done: Exported) -> str:
    if done.content == "current":
        what = f"generation {done.generation}"
    else:
        numbers = ", ".join(f"{agreement} up to {number}" for agreement, number in (done.sequences or {}).items())
        what = f"deliveries of {numbers}" if numbers else "no deliveries"
    return f"exported {what} to {done.target}: {len(done.changed)} of {len(done.tables)} tables changed"


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
