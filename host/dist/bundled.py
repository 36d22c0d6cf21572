"""Libraries in C that crates contain and link: cargo knows neither their versions nor their licences."""

import re
from dataclasses import dataclass
from pathlib import Path

from cargo import Crate


@dataclass(frozen=True)
class Library:
    """A library in C, in the sources of a crate."""

    name: str
    crate: str
    licence: str
    # The file of the crate with the version, and how it is written there.
    version_file: str
    version_pattern: str
    # The file of the crate with the licence. SQLite is in the public domain and has none.
    licence_file: str | None

    def version(self, directory: Path) -> str:
        """Returns the version that the crate in a directory contains. Raises `ValueError` if it cannot be found."""
        text = (directory / self.version_file).read_text(encoding="utf-8", errors="replace")
        found = re.search(self.version_pattern, text, re.MULTILINE)
        if found is None:
            raise ValueError(f"{directory / self.version_file} has no version of {self.name}: correct {__file__}")
        return ".".join(found.groups())


LIBRARIES = (
    Library(
        name="OpenSSL",
        crate="openssl-src",
        licence="Apache-2.0",
        version_file="openssl/VERSION.dat",
        version_pattern=r"^MAJOR=(\d+)\nMINOR=(\d+)\nPATCH=(\d+)$",
        licence_file="openssl/LICENSE.txt",
    ),
    Library(
        name="libssh2",
        crate="libssh2-sys",
        licence="BSD-3-Clause",
        version_file="libssh2/include/libssh2.h",
        version_pattern=r'^#define LIBSSH2_VERSION\s+"([^"]+)"',
        licence_file="libssh2/COPYING",
    ),
    Library(
        name="zlib",
        crate="libz-sys",
        licence="Zlib",
        version_file="src/zlib/zlib.h",
        version_pattern=r'^#define ZLIB_VERSION "([^"]+)"',
        licence_file="src/zlib/LICENSE",
    ),
    Library(
        name="SQLite",
        crate="libsqlite3-sys",
        licence="blessing",
        version_file="sqlite3/sqlite3.h",
        version_pattern=r'^#define SQLITE_VERSION\s+"([^"]+)"',
        licence_file=None,
    ),
    Library(
        name="zstd",
        crate="zstd-sys",
        licence="BSD-3-Clause",
        version_file="zstd/lib/zstd.h",
        version_pattern=(
            r"^#define ZSTD_VERSION_MAJOR\s+(\d+)\n#define ZSTD_VERSION_MINOR\s+(\d+)\n"
            r"#define ZSTD_VERSION_RELEASE\s+(\d+)$"
        ),
        licence_file="zstd/LICENSE",
    ),
)


def bundled(crates: list[Crate]) -> list[tuple[Library, Crate]]:
    """Returns the libraries in C of these crates."""
    by_name = {crate.name: crate for crate in crates}
    return [(library, by_name[library.crate]) for library in LIBRARIES if library.crate in by_name]
