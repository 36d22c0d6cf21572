"""Installs each package into a clean Debian and does the main job of the README there.

`CPRFLOW_DIST` names the directory that `host/dist/build` has made. Needs root, debootstrap and a network.
"""

import hashlib
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from clean_root import CleanRoot

import archives
import cargo

DIST = Path(os.environ["CPRFLOW_DIST"]).resolve()
VERSION = cargo.version()
# The largest sizes in bytes: what docs/install.md says, and a margin.
LARGEST = {".tar.gz": 22_000_000, ".deb": 16_000_000, ".whl": 20_000_000, ".crate": 1_000_000}


@pytest.fixture(scope="session")
def minimal(tmp_path_factory):
    """A clean system with nothing else."""
    return CleanRoot.new(tmp_path_factory.mktemp("minimal") / "root")


@pytest.fixture(scope="session")
def with_python(tmp_path_factory):
    """A clean system with Python."""
    return CleanRoot.new(tmp_path_factory.mktemp("python") / "root", "python3-venv")


@pytest.fixture(scope="session")
def results():
    """What the main job made, by package. Every package must make the same."""
    return {}


def the(pattern: str) -> Path:
    """Returns the only file of the packages with such a name."""
    found = list(DIST.glob(pattern))
    assert len(found) == 1, (pattern, found)
    return found[0]


def do_main_job(system: CleanRoot, command: str, results: dict) -> None:
    """Does the main job of the README as a user without rights: an extract becomes Parquet files."""
    work = system.work_directory()

    def run(*arguments: str, **options) -> str:
        return system.run(command, *arguments, directory=work, **options)

    assert run("--version") == f"cprflow {VERSION}\n"
    run("generate", "--persons", "1000", "--seed", "1", "-o", "extract.cpr")
    run("verify", "extract.cpr")
    assert len(run("scan", "extract.cpr", "--table", "person", "--format", "csv").splitlines()) == 1001
    run("scan", "extract.cpr", "--all", "--format", "parquet", "-o", "tables/")
    tables = sorted((system.directory / "trial/tables").glob("*.parquet"))
    assert "person.parquet" in {table.name for table in tables}
    made = {table.name: hashlib.sha256(table.read_bytes()).hexdigest() for table in tables}
    results[command] = made
    # The tables have everything: the extract can be made again from them.
    run("write", "tables/", "-o", "again.cpr")
    assert rows(system, "again.cpr") == rows(system, "extract.cpr")
    # An extract that was cut off is an error, not a success.
    extract = (system.directory / "trial/extract.cpr").read_bytes()
    (system.directory / "trial/cut.cpr").write_bytes(extract[: len(extract) // 2])
    run("verify", "cut.cpr", fails=True)


def check_compiler(system: CleanRoot, command: str) -> None:
    """The packages of the command compile components. That of the crate is the built-in one."""
    with tarfile.open(the(f"cprflow-{VERSION}.crate")) as crate:
        component = crate.extractfile(f"cprflow-{VERSION}/component/cprflow_connector.wasm").read()
    work = system.work_directory()
    (system.directory / "trial/component.wasm").write_bytes(component)
    tables = system.run(command, "--component", "component.wasm", "tables", directory=work)
    assert tables == system.run(command, "tables", directory=work) and "person" in tables


def rows(system: CleanRoot, name: str) -> list[bytes]:
    """Returns the lines of an extract without trailing spaces."""
    lines = (system.directory / "trial" / name).read_bytes().splitlines()
    return [line.rstrip() for line in lines]


def is_stripped(program: Path) -> bool:
    sections = subprocess.run(["readelf", "--sections", "--wide", program], check=True, capture_output=True, text=True)
    return ".symtab" not in sections.stdout and ".debug_info" not in sections.stdout


def check_documents(files: dict[str, bytes], licences: str, bill: str, program: bytes) -> None:
    """The licences of others and the bill of materials belong to this command."""
    text = files[licences].decode()
    document = json.loads(files[bill])
    assert document["metadata"]["component"]["hashes"][0]["content"] == hashlib.sha256(program).hexdigest()
    for crate in cargo.shipped("command"):
        assert crate.is_own or f"\n{crate.name} {crate.version} " in text
        assert any(
            component["purl"] == f"pkg:cargo/{crate.name}@{crate.version}" for component in document["components"]
        )


def check_shells(system: CleanRoot, completions: str) -> None:
    """Bash, the shell of the clean system, reads its completions."""
    shown = system.run("/bin/bash", "-c", f"source {completions} && complete -p cprflow")
    assert "cprflow" in shown


def check_manual(system: CleanRoot, command: str, pages: set[str]) -> None:
    """Each subcommand of `--help` has a manual page."""
    shown = system.run(command, "--help")
    subcommands = set(re.findall(r"^  ([a-z-]+) {2,}\S", shown.split("Options:")[0], re.MULTILINE)) - {"help"}
    assert len(subcommands) > 20
    missing = {f"cprflow-{name}.1" for name in subcommands} - pages
    assert not missing and "cprflow.1" in pages


def test_debian_package(minimal, results, tmp_path_factory):
    system = minimal.copy(tmp_path_factory.mktemp("deb") / "root")
    package = system.put(the("cprflow_*.deb"), "root")
    # It installs without a network: the smallest Debian has all that it depends on.
    system.run("dpkg", "--install", package, root=True)
    assert (
        system.run("dpkg-query", "--show", "--showformat=${Status} ${Version}", "cprflow")
        == f"install ok installed {VERSION}"
    )
    assert system.run("dpkg", "--verify", "cprflow") == ""
    do_main_job(system, "/usr/bin/cprflow", results)
    check_compiler(system, "/usr/bin/cprflow")
    listed = system.run("dpkg", "--listfiles", "cprflow").split()
    files = {
        name: (system.directory / name[1:]).read_bytes() for name in listed if (system.directory / name[1:]).is_file()
    }
    check_documents(
        files, f"/{archives.DOCUMENTS}/copyright", f"/{archives.DOCUMENTS}/sbom.cdx.json", files["/usr/bin/cprflow"]
    )
    assert b"ExecStart=/usr/bin/cprflow " in files[f"/{archives.DOCUMENTS}/examples/cprflow.service"]
    pages = {Path(name).name.removesuffix(".gz") for name in files if "/man1/" in name}
    check_manual(system, "/usr/bin/cprflow", pages)
    for _, place in archives.COMPLETIONS.values():
        assert b"set-aside" in files[f"/{place}"]
    check_shells(system, "/usr/share/bash-completion/completions/cprflow")
    assert is_stripped(system.directory / "usr/bin/cprflow")
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in (system.directory / name[1:] for name in listed)}
    assert owners == {(0, 0)}
    # It leaves nothing of its own.
    system.run("dpkg", "--purge", "cprflow", root=True)
    assert not [name for name in files if (system.directory / name[1:]).exists()]


def test_tar_gz(minimal, results, tmp_path_factory):
    system = minimal.copy(tmp_path_factory.mktemp("tar") / "root")
    archive = the("cprflow-*-linux.tar.gz")
    name = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
        files = {member.name: opened.extractfile(member).read() for member in members}
    assert all(member.name.startswith(f"{name}/") and member.isfile() for member in members)
    assert {member.mode for member in members if member.name != f"{name}/cprflow"} == {0o644}
    # The smallest Debian has tar and gzip.
    place = system.put(archive, "root")
    system.run("tar", "--extract", "--gzip", "--file", place, "--directory", "/opt", root=True)
    do_main_job(system, f"/opt/{name}/cprflow", results)
    check_compiler(system, f"/opt/{name}/cprflow")
    check_documents(files, f"{name}/THIRD-PARTY-LICENSES.txt", f"{name}/sbom.cdx.json", files[f"{name}/cprflow"])
    assert files[f"{name}/LICENSE"] == (cargo.ROOT / "LICENSE").read_bytes()
    pages = {Path(member).name for member in files if "/man1/" in member}
    check_manual(system, f"/opt/{name}/cprflow", pages)
    check_shells(system, f"/opt/{name}/completions/cprflow.bash")
    assert is_stripped(system.directory / f"opt/{name}/cprflow")


def test_wheel(with_python, results):
    system = with_python
    wheel = the("cprflow-*.whl")
    assert "cp310-abi3-manylinux_2_28" in wheel.name
    place = system.put(wheel, "root")
    system.run("python3", "-m", "venv", "/opt/cprflow", root=True)
    # It needs no other package, so it installs without a network.
    system.run("/opt/cprflow/bin/pip", "install", "--quiet", "--no-index", place, root=True)
    do_main_job(system, "/opt/cprflow/bin/cprflow", results)
    count = "import cprflow, sys; print(sum(map(len, cprflow.open(sys.argv[1]).table('person'))))"
    assert system.run("/opt/cprflow/bin/python", "-c", count, "/trial/extract.cpr") == "1000\n"
    (information,) = system.directory.glob("opt/cprflow/lib/python3*/site-packages/cprflow-*.dist-info")
    text = (information / "licenses/THIRD-PARTY-LICENSES.txt").read_text(encoding="utf-8")
    for crate in cargo.shipped("wheel"):
        assert crate.is_own or f"\n{crate.name} {crate.version} " in text
    assert (information / "licenses/LICENSE").is_file() and list((information / "sboms").iterdir())
    assert "License-File: THIRD-PARTY-LICENSES.txt\n" in (information / "METADATA").read_text(encoding="utf-8")


def test_all_packages_make_the_same_tables(results):
    """Runs last, and has one result from each of the three."""
    assert len(results) == 3
    first, *others = results.values()
    assert len(first) > 30 and all(other == first for other in others)


def test_crates():
    """Each crate has the licence; the contract and the component are where the build scripts look for them."""
    crates = {path.name.removesuffix(f"-{VERSION}.crate"): path for path in DIST.glob("*.crate")}
    published = {crate.name for crate in cargo.locked() if crate.is_own} - UNPUBLISHED
    assert crates.keys() == published
    for name, path in crates.items():
        with tarfile.open(path) as archive:
            prefix = f"{name}-{VERSION}/"
            files = {member.name.removeprefix(prefix): archive.extractfile(member).read() for member in archive}
        assert files["LICENSE"] == (cargo.ROOT / "LICENSE").read_bytes()
        assert b'path = "../' not in files["Cargo.toml"]
        if name in ("cprflow", "cprflow-connector"):
            assert files["wit/connector.wit"] == (cargo.ROOT / "wit/connector.wit").read_bytes()
        if name == "cprflow":
            component = files["component/cprflow_connector.wasm"]
            digest = files["component/cprflow_connector.wasm.sha256"].decode().strip()
            assert hashlib.sha256(component).hexdigest() == digest and component.startswith(b"\0asm")


# Crates that only build the wheel or test.
UNPUBLISHED = {"cprflow-hostile", "cprflow-platform", "cprflow-python", "cprflow-tests"}


def test_sizes_and_digests():
    for path in DIST.iterdir():
        largest = next((size for end, size in LARGEST.items() if path.name.endswith(end)), 2_000_000)
        assert 0 < path.stat().st_size <= largest, path.name
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=DIST, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(checked.stdout.splitlines()) == len(list(DIST.iterdir())) - 1


def test_the_bill_of_materials_follows_the_format():
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(the("cprflow.cdx.json").read_text(encoding="utf-8"))
    assert error is None, error
