"""Which licences, versions and sources of crates are allowed: `allowed.toml`, and the comparison with it."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path

from cargo import Crate

ALLOWED = Path(__file__).with_name("allowed.toml")
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def load(path: Path = ALLOWED) -> dict:
    """Reads the allowed licences and versions. Raises `ValueError` if one has no reason."""
    allowed = tomllib.loads(path.read_text(encoding="utf-8"))
    reasons = [
        *allowed["licences"].items(),
        *((name, exception["reason"]) for name, exception in allowed["exceptions"].items()),
        *allowed["forbidden"].items(),
        *((str(group["crates"]), group["reason"]) for group in allowed["duplicates"]),
    ]
    for name, reason in reasons:
        if not reason.strip():
            raise ValueError(f"{path.name}: {name} has no reason")
    return allowed


def problems(crates: list[Crate], allowed: dict) -> list[str]:
    """Returns what is not allowed, as sentences."""
    return [
        *licence_problems(crates, allowed),
        *duplicate_problems(crates, allowed),
        *source_problems(crates),
        *(
            f"{crate.name} {crate.version} is forbidden: {allowed['forbidden'][crate.name]}"
            for crate in crates
            if crate.name in allowed["forbidden"]
        ),
    ]


def licence_problems(crates: list[Crate], allowed: dict) -> list[str]:
    """Returns the crates whose licence is not allowed, and exceptions that no crate needs."""
    found = []
    needed = set()
    for crate in crates:
        exception = allowed["exceptions"].get(crate.name)
        extra = {exception["licence"]} if exception else set()
        if crate.licence is None:
            found.append(f"{crate.name} {crate.version} names no licence. Read its sources, or use another crate")
        elif permits(crate.licence, set(allowed["licences"])):
            continue
        elif permits(crate.licence, set(allowed["licences"]) | extra):
            needed.add(crate.name)
        else:
            found.append(
                f"{crate.name} {crate.version} has the licence {crate.licence!r}, which is not in {ALLOWED.name}. "
                "Use another crate, or add the licence with a reason"
            )
    unneeded = sorted(allowed["exceptions"].keys() - needed)
    return found + [f"{ALLOWED.name}: no crate needs the exception for {name}. Remove it" for name in unneeded]


def permits(expression: str, licences: set[str]) -> bool:
    """Returns whether the allowed licences satisfy a licence expression of SPDX, or one with a slash for "or"."""
    tokens = re.findall(r"\(|\)|/|[^\s()/]+", expression)

    def alternatives() -> bool:
        value = parts()
        while tokens and tokens[0] in ("OR", "/"):
            tokens.pop(0)
            # Both sides are read in any case.
            value = parts() or value
        return value

    def parts() -> bool:
        value = term()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = term() and value
        return value

    def term() -> bool:
        if not tokens:
            raise ValueError(f"the licence expression {expression!r} is incomplete")
        token = tokens.pop(0)
        if token == "(":
            value = alternatives()
            if not tokens or tokens.pop(0) != ")":
                raise ValueError(f"the licence expression {expression!r} lacks a parenthesis")
            return value
        if tokens and tokens[0] == "WITH":
            token = " ".join([token, tokens.pop(0), tokens.pop(0) if tokens else ""])
        return token in licences

    value = alternatives()
    if tokens:
        raise ValueError(f"the licence expression {expression!r} is not understood from {tokens[0]!r} on")
    return value


def series(version: str) -> str:
    """Returns the part of a version that names incompatible series: "1" of 1.2.3, "0.4" of 0.4.1."""
    major, minor, _ = version.split(".", 2)
    return major if major != "0" else f"0.{minor}"


def duplicate_problems(crates: list[Crate], allowed: dict) -> list[str]:
    """Returns the crates that are there in several versions without permission, and permissions that are not needed."""
    permitted = {name: set(versions) for group in allowed["duplicates"] for name, versions in group["crates"].items()}
    versions = defaultdict(list)
    for crate in crates:
        versions[crate.name].append(crate.version)
    found = []
    for name, several in sorted(versions.items()):
        present = {series(version) for version in several}
        if len(several) == 1 and name not in permitted:
            continue
        if len(several) > len(present):
            found.append(f"{name} has two compatible versions, {' and '.join(several)}. Run `cargo update -p {name}`")
        elif present != permitted.get(name, set()):
            listed = ", ".join(sorted(permitted.get(name, set()))) or "one version"
            found.append(
                f"{name} has the versions {', '.join(several)}; {ALLOWED.name} allows {listed}. "
                f"Run `cargo tree --workspace -i {name}@{several[0]}` to see what needs it, then remove it, or "
                "correct the list with a reason"
            )
    gone = sorted(permitted.keys() - versions.keys())
    return found + [f"{ALLOWED.name}: there is no crate {name} any more. Remove it from the list" for name in gone]


def source_problems(crates: list[Crate]) -> list[str]:
    """Returns the crates that are neither of this repository nor of crates.io."""
    return [
        f"{crate.name} {crate.version} comes from {crate.source}. Only crates.io is allowed"
        for crate in crates
        if crate.source not in (None, CRATES_IO)
    ]
