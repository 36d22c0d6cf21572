"""The licence texts of everything that a package contains, as one file."""

import html.parser
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import cargo
from bundled import bundled
from cargo import Crate

# Files of a crate with licences, notices and names of authors.
NAMES = re.compile(r"(licen[cs]es?|copying|copyright|notice|unlicense)([-._].*)?", re.IGNORECASE)
APACHE = cargo.ROOT / "LICENSE"
RULE = "=" * 100


def third_party(crates: list[Crate]) -> str:
    """Returns a list of the crates and libraries, with their licences, and each text once."""
    foreign = [crate for crate in crates if not crate.is_own]
    libraries = bundled(foreign)
    users = defaultdict(list)
    for crate in foreign:
        for text in texts(crate):
            users[text].append(f"{crate.name} {crate.version}")
    for library, crate in libraries:
        if library.licence_file is not None:
            text = plain((crate.directory / library.licence_file).read_text(encoding="utf-8"))
            users[text].append(f"{library.name} {library.version(crate.directory)}")
    lines = [
        f"cprflow {cargo.version()} contains the work of others, under the licences below.",
        "Where a licence offers a choice, cprflow uses the work under the one that `host/dist/allowed.toml` lists.",
        "",
        f"{'Library':60} Licence",
        f"{'The Rust standard library':60} MIT OR Apache-2.0",
        *(
            f"{library.name + ' ' + library.version(crate.directory):60} {library.licence}"
            for library, crate in libraries
        ),
        *(f"{crate.name + ' ' + crate.version:60} {crate.licence}" for crate in foreign),
        "",
        "SQLite is in the public domain.",
    ]
    for text, names in sorted(users.items(), key=lambda item: item[1]):
        lines += ["", RULE, *wrapped(names), RULE, "", text]
    lines += ["", RULE, "The Rust standard library", RULE, "", standard_library(), ""]
    return "\n".join(lines)


def texts(crate: Crate) -> list[str]:
    """Returns the licence texts of a crate. Raises `ValueError` if it has none and needs its own."""
    files = sorted(path for path in crate.directory.iterdir() if path.is_file() and NAMES.fullmatch(path.name))
    folders = sorted(path for path in crate.directory.iterdir() if path.is_dir() and NAMES.fullmatch(path.name))
    files += sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    if files:
        return [plain(path.read_text(encoding="utf-8", errors="replace")) for path in files]
    # The text of this licence is the same for all. Others begin with the names of the authors.
    if crate.licence is not None and "Apache-2.0" in crate.licence:
        return [plain(APACHE.read_text(encoding="utf-8"))]
    raise ValueError(
        f"{crate.name} {crate.version} ({crate.licence}) contains no licence text, and its licence asks to include it. "
        f"Look in {crate.directory} and teach host/dist/licences.py its name"
    )


def plain(text: str) -> str:
    """Returns a text without differences that do not matter, so that equal ones are found."""
    return "\n".join(line.rstrip() for line in text.replace("\f", "").splitlines()).strip("\n")


def wrapped(names: list[str]) -> list[str]:
    """Returns names with commas, as lines of at most 100 characters."""
    lines = [""]
    for name in names:
        if lines[-1] and len(lines[-1]) + len(name) > 97:
            lines.append("")
        lines[-1] += f", {name}" if lines[-1] else name
    return lines


def standard_library() -> str:
    """Returns the copyright notices of the Rust standard library, which the toolchain has as HTML."""
    command = ["rustc", "--print", "sysroot"]
    sysroot = subprocess.run(command, cwd=cargo.ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    page = Path(sysroot) / "share/doc/rust/COPYRIGHT-library.html"
    if not page.is_file():
        raise FileNotFoundError(
            f"{page} is missing, which has the licences of the Rust standard library. Install Rust with rustup"
        )
    reader = TextOfPage()
    reader.feed(page.read_text(encoding="utf-8"))
    return re.sub(r"\n{3,}", "\n\n", plain("".join(reader.text)))


class TextOfPage(html.parser.HTMLParser):
    """Collects the text of an HTML page."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.hidden += tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.text.append(data)
