"""What cargo knows about the crates that are built: versions, licences, and what ends up in a package."""

import functools
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The target of the component, which every package contains.
COMPONENT = ("cprflow-connector", "wasm32-wasip2")

# The crate that is built for each package.
CRATES = {"command": "cprflow-cli", "wheel": "cprflow-python"}

# The features of a crate that is built for users. The wheel has no compiler, so that it stays small.
FEATURES = {"cprflow-cli": ("--features", "compiler")}


@dataclass(frozen=True)
class Crate:
    """A crate of `Cargo.lock`, as `cargo metadata` describes it."""

    name: str
    version: str
    licence: str | None
    directory: Path
    source: str | None
    authors: tuple[str, ...]
    description: str
    repository: str | None

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.version

    @property
    def is_own(self) -> bool:
        """Whether the crate is a part of this repository."""
        return self.source is None


def cargo(*arguments: str) -> str:
    """Runs cargo at the root of the repository and returns what it prints."""
    command = [os.environ.get("CARGO", "cargo"), *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def crates(metadata: dict) -> list[Crate]:
    """Returns the crates of the output of `cargo metadata`."""
    return [
        Crate(
            name=package["name"],
            version=package["version"],
            licence=package["license"],
            directory=Path(package["manifest_path"]).parent,
            source=package["source"],
            authors=tuple(package["authors"]),
            description=" ".join((package["description"] or "").split()),
            repository=package["repository"],
        )
        for package in metadata["packages"]
    ]


@functools.cache
def locked() -> list[Crate]:
    """Returns all crates of `Cargo.lock`, sorted. Downloads those that are not here yet."""
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1"))
    return sorted(crates(metadata), key=lambda crate: crate.key)


@functools.cache
def host() -> str:
    """Returns the target for which cargo builds here."""
    return re.search(r"^host: (.*)$", cargo("--version", "--verbose"), re.MULTILINE)[1]


def version() -> str:
    """Returns the version of cprflow."""
    return next(crate.version for crate in locked() if crate.name == "cprflow")


@functools.cache
def shipped(package: str) -> list[Crate]:
    """Returns the crates whose code is in a package, "command" or "wheel", sorted. Macros and build scripts are not."""
    found = linked(CRATES[package], host()) | linked(*COMPONENT)
    # Its code is OpenSSL, which is linked, although for cargo it is only a tool of a build script.
    if any(name == "openssl-sys" for name, _ in found):
        found |= {crate.key for crate in locked() if crate.name == "openssl-src"}
    return [crate for crate in locked() if crate.key in found]


def linked(crate: str, target: str) -> set[tuple[str, str]]:
    """Returns names and versions of the crates that are linked into a crate for a target."""
    printed = cargo(
        *("tree", "--locked", "--package", crate, "--target", target, *FEATURES.get(crate, ())),
        *("--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"),
    )
    lines = (line.split() for line in printed.splitlines() if line.strip())
    return {(words[0], words[1].removeprefix("v")) for words in lines}
