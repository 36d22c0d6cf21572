"""A new Debian without anything else, in which a package is installed and used."""

import os
import shutil
import subprocess
from pathlib import Path

SUITE = "bookworm"


class CleanRoot:
    """A directory with a system of its own. Its programs run without a network and as a user without rights."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def new(cls, directory: Path, *packages: str) -> "CleanRoot":
        """Installs Debian's smallest system, and packages of Debian. Needs root and a network."""
        command = ["debootstrap", "--variant=minbase"]
        if packages:
            command.append(f"--include={','.join(packages)}")
        made = subprocess.run([*command, SUITE, directory], capture_output=True, text=True)
        # Its standard output has every step, and the last ones say what went wrong.
        assert made.returncode == 0, made.stdout[-3000:] + made.stderr
        return cls(directory)

    def copy(self, directory: Path) -> "CleanRoot":
        """Copies the system, so that packages do not see each other."""
        subprocess.run(["cp", "--archive", "--reflink=auto", self.directory, directory], check=True)
        return CleanRoot(directory)

    def put(self, file: Path, place: str) -> str:
        """Copies a file into a directory of the system and returns its path there."""
        target = self.directory / place / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        return f"/{place}/{file.name}"

    def run(self, *command: str, root: bool = False, directory: str = "/", fails: bool = False) -> str:
        """Runs a program in the system and returns its standard output. `root` runs it as root."""
        user = [] if root else ["--userspec=65534:65534"]
        # `unshare` leaves it without a network, and with only its own processes in /proc.
        proc = f"--mount-proc={self.directory / 'proc'}"
        inside = ["unshare", "--net", "--pid", "--fork", proc, "chroot", *user, str(self.directory)]
        shell = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', directory, *command]
        ended = subprocess.run(
            [*inside, *shell],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"},
        )
        assert (ended.returncode != 0) == fails, f"{command}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def work_directory(self) -> str:
        """Makes the directory in which the user without rights can write, and returns its path in the system."""
        place = self.directory / "trial"
        place.mkdir(exist_ok=True)
        os.chown(place, 65534, 65534)
        return "/trial"
