"""A throw-away SLURM cluster of one node on loopback: no systemd, no cgroups, no accounting; own keys and ports."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from helpers.remotes import free_port

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
LIMIT = 30
"""seconds that a daemon may take to answer"""


def missing() -> list[str]:
    """Programs that this machine lacks."""
    return [name for name in PROGRAMS if not shutil.which(name, path=PATH)]


class Cluster:
    """Started by `with`; `environment` is what a user of it needs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.conf = folder, folder / "slurm.conf"
        self.environment = {"SLURM_CONF": str(self.conf), "PATH": f"{folder / 'bin'}{os.pathsep}{PATH}"}
        self.daemons: list[subprocess.Popen] = []

    def __enter__(self) -> "Cluster":
        for name in ("bin", "state", "spool", "munge"):
            (self.folder / name).mkdir(parents=True)
        host = subprocess.run(["hostname", "-s"], capture_output=True, text=True, check=True).stdout.strip()
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        munge = self.folder / "munge"
        munge.chmod(0o755)
        key = munge / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        # the plugin takes SLURM_CONF out of the environment of the srun that it calls inside a job
        shim = self.folder / "bin/srun"
        shim.write_text(f'#!/bin/sh\nSLURM_CONF={self.conf} exec {shutil.which("srun", path=PATH)} "$@"\n')
        shim.chmod(0o755)
        self.conf.write_text(f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={munge}/socket
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=bf_interval=1
MailProg=/bin/true
JobRequeue=0
ReturnToService=2
MinJobAge=3600
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
NodeName={host} NodeHostname={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=16000 State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=1-0 DefaultTime=10 State=UP
""")
        files = [f"--{name}={munge}/{file}" for name, file in
                 (("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed"))]  # fmt: skip
        self._start("munged", "--force", "--foreground", *files)
        self._wait("munge", "-n", f"--socket={munge}/socket")
        self._start("slurmctld", "-D")
        self._wait("scontrol", "show", "config")
        self._start("slurmd", "-D")
        self._wait("sh", "-c", "sinfo --noheader --format %T | grep -q idle")
        return self

    def __exit__(self, *_: object) -> None:
        self.run("scancel", "--user", os.environ.get("USER", "root"), check=False)
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        return subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, check=check, timeout=LIMIT
        )

    def _start(self, *command: str) -> None:
        log = (self.folder / f"{command[0]}.out").open("w")
        program = shutil.which(command[0], path=PATH)
        self.daemons.append(
            subprocess.Popen([program, *command[1:]], env=os.environ | self.environment, stdout=log, stderr=log)
        )

    def _wait(self, *command: str) -> None:
        end = time.monotonic() + LIMIT
        while self.run(*command, check=False).returncode:
            said = "\n".join(f"{file.name}: {file.read_text()[-2000:]}" for file in self.folder.glob("*.out"))
            assert time.monotonic() < end, f"{command} never answered\n{said}"
            time.sleep(0.2)
