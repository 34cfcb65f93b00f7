"""Remotes that are really there: an SSH server on loopback, and an S3 service in this process."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SSHD = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
LIMIT = 20
"""seconds that a server may take to answer"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def ssh(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Address of a remote over SSH, and the settings that a user keeps to himself."""
    keys = {name: folder / name for name in ("host", "user")}
    for key in keys.values():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    port, config, log = free_port(), folder / "sshd_config", folder / "sshd.log"
    config.write_text(f"""Port {port}
ListenAddress 127.0.0.1
HostKey {keys["host"]}
AuthorizedKeysFile {keys["user"]}.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
""")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd of root lets go of its rights
    (folder / "store").mkdir()
    server = subprocess.Popen([SSHD, "-D", "-f", config, "-E", log])
    try:
        end = time.monotonic() + LIMIT
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < end and server.poll() is None, log.read_text()
            time.sleep(0.1)
        yield f"ssh://127.0.0.1:{port}{folder}/store", {"keyfile": str(keys["user"])}
    finally:
        server.terminate()
        server.wait()


@contextmanager
def s3(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Address of a remote on S3, and the settings that a user keeps to himself."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        keys = {"aws_access_key_id": "someone", "aws_secret_access_key": "secret"}
        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys).create_bucket(Bucket="lab")
        yield "s3://lab/shiftscope", {
            "endpointurl": endpoint, "region": "us-east-1",
            "access_key_id": keys["aws_access_key_id"], "secret_access_key": keys["aws_secret_access_key"],
        }  # fmt: skip
    finally:
        server.stop()
