"""The archives of the command: a tar.gz for every Linux, and a package of Debian."""

import gzip
import io
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import cargo

# Debian's names of architectures.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# The files of completions by shell: in the tar.gz, and in a package of Debian.
COMPLETIONS = {
    "bash": ("cprflow.bash", "usr/share/bash-completion/completions/cprflow"),
    "zsh": ("_cprflow", "usr/share/zsh/vendor-completions/_cprflow"),
    "fish": ("cprflow.fish", "usr/share/fish/vendor_completions.d/cprflow.fish"),
}
SERVICE = cargo.ROOT / "examples/deploy/cprflow.service"
# Where Debian keeps the documents of the package.
DOCUMENTS = "usr/share/doc/cprflow"


@dataclass(frozen=True)
class Content:
    """What both archives contain."""

    command: bytes
    manual: dict[str, bytes]
    completions: dict[str, bytes]
    third_party: bytes
    sbom: bytes


def parts_of(command: Path, third_party: str, sbom: str, scratch: Path) -> Content:
    """Lets the command write its manual pages and completions."""
    run = [str(command.resolve())]
    pages = scratch / "man1"
    subprocess.run([*run, "man", str(pages)], check=True)
    return Content(
        command=command.read_bytes(),
        manual={page.name: page.read_bytes() for page in sorted(pages.iterdir())},
        completions={
            shell: subprocess.run([*run, "completions", shell], check=True, stdout=subprocess.PIPE).stdout
            for shell in COMPLETIONS
        },
        third_party=third_party.encode(),
        sbom=sbom.encode(),
    )


def tar_gz(content: Content, out: Path, time: int) -> Path:
    """Writes the tar.gz and returns its path. The same input gives the same bytes."""
    name = f"cprflow-{cargo.version()}-{cargo.host().split('-')[0]}-linux"
    files = {
        "cprflow": (content.command, 0o755),
        "LICENSE": (read("LICENSE"), 0o644),
        "README.md": (read("README.md"), 0o644),
        "CHANGELOG.md": (read("CHANGELOG.md"), 0o644),
        "THIRD-PARTY-LICENSES.txt": (content.third_party, 0o644),
        "sbom.cdx.json": (content.sbom, 0o644),
        "cprflow.service": (SERVICE.read_bytes(), 0o644),
        **{f"man/man1/{page}": (text, 0o644) for page, text in content.manual.items()},
        **{f"completions/{COMPLETIONS[shell][0]}": (text, 0o644) for shell, text in content.completions.items()},
    }
    path = out / f"{name}.tar.gz"
    with path.open("wb") as file, gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=time) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for file_name, (data, mode) in sorted(files.items()):
                entry = tarfile.TarInfo(f"{name}/{file_name}")
                entry.size, entry.mode, entry.mtime = len(data), mode, time
                archive.addfile(entry, io.BytesIO(data))
    return path


def deb(content: Content, out: Path, time: int, scratch: Path, maintainer: str) -> Path:
    """Writes the package of Debian and returns its path."""
    machine = cargo.host().split("-")[0]
    architecture = ARCHITECTURES[machine]
    tree = scratch / "deb"
    unit = SERVICE.read_text(encoding="utf-8").replace("/usr/local/bin/", "/usr/bin/")
    files = {
        "usr/bin/cprflow": content.command,
        f"{DOCUMENTS}/copyright": copyright_file(content.third_party),
        f"{DOCUMENTS}/changelog.gz": compressed(read("CHANGELOG.md")),
        f"{DOCUMENTS}/README.md": read("README.md"),
        f"{DOCUMENTS}/sbom.cdx.json": content.sbom,
        f"{DOCUMENTS}/examples/cprflow.service": unit.encode(),
        **{f"usr/share/man/man1/{page}.gz": compressed(text) for page, text in content.manual.items()},
        **{COMPLETIONS[shell][1]: text for shell, text in content.completions.items()},
    }
    for name, data in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if name == "usr/bin/cprflow" else 0o644)
    kilobytes = sum(-(-len(data) // 1024) for data in files.values())
    control = tree / "DEBIAN/control"
    control.parent.mkdir()
    control.write_text(
        f"""Package: cprflow
Version: {cargo.version()}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {kilobytes}
Depends: {dependencies(tree / "usr/bin/cprflow", scratch)}
Section: database
Priority: optional
Description: Extracts of Denmark's civil register (CPR) as typed tables
 cprflow fetches extracts of KOMBIT's integration SF6002 "CPR Abonnement",
 checks them and publishes them as Parquet. They are parsed in a WebAssembly
 sandbox.
""",
        encoding="utf-8",
    )
    for folder, _, names in os.walk(tree):
        for path in [Path(folder), *(Path(folder) / name for name in names)]:
            os.utime(path, (time, time))
            if path.is_dir():
                path.chmod(0o755)
    path = out / f"cprflow_{cargo.version()}_{architecture}.deb"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(time)}
    # One thread: the bytes of xz depend on whether it uses several.
    command = ["dpkg-deb", "--build", "--root-owner-group", "-Zxz", "--threads-max=1", str(tree), str(path)]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return path


def dependencies(command: Path, scratch: Path) -> str:
    """Returns the packages of Debian that have the libraries of the command, with their lowest versions."""
    if shutil.which("dpkg-shlibdeps") is None:
        raise FileNotFoundError(
            "dpkg-shlibdeps is missing, which finds what a Debian package depends on: apt install dpkg-dev"
        )
    source = scratch / "shlibdeps/debian/control"
    source.parent.mkdir(parents=True)
    source.write_text("Source: cprflow\n\nPackage: cprflow\nArchitecture: any\n", encoding="utf-8")
    run = ["dpkg-shlibdeps", "-O", str(command.resolve())]
    printed = subprocess.run(run, cwd=source.parents[1], check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.search(r"^shlibs:Depends=(.+)$", printed, re.MULTILINE)[1]


def lowest_glibc(command: Path) -> str:
    """Returns the oldest version of glibc with which the command runs."""
    printed = subprocess.run(["objdump", "-T", str(command)], check=True, stdout=subprocess.PIPE, text=True).stdout
    versions = {tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_(\d+(?:\.\d+)+)", printed)}
    return ".".join(map(str, max(versions)))


def copyright_file(third_party: bytes) -> bytes:
    """Returns the file in which Debian keeps all licences of a package."""
    own = f"cprflow is licensed under the Apache License, version 2.0.\n\n{read('LICENSE').decode()}\n"
    return own.encode() + third_party


def read(name: str) -> bytes:
    """Reads a file at the root of the repository."""
    return (cargo.ROOT / name).read_bytes()


def compressed(data: bytes) -> bytes:
    """Compresses a file, without the time at which that was done."""
    return gzip.compress(data, mtime=0)
