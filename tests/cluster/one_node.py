"""A SLURM of one node in a folder of its own, started and ended here by the user who runs it."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

# A requeued job waits until its credential has expired, which takes two minutes by default and at least five seconds,
# and then for the scheduler, which by default looks once a minute.
_CONFIGURATION = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=2
SchedulerParameters=sched_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class SlurmError(RuntimeError):
    """SLURM can't run here; the message says what is missing, or what its daemons said."""


@dataclass(frozen=True)
class OneNode:
    """A running SLURM; `environment` is what its commands need."""

    environment: dict[str, str]

    def __call__(self, *command: str, **options: object) -> str:
        """Run one of SLURM's commands; what it prints."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, **options)
        if done.returncode:
            raise SlurmError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout.strip()


@contextmanager
def one_node(folder: Path) -> Iterator[OneNode]:
    """Within it SLURM runs, with its state and its logs in `folder`."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    if missing:
        raise SlurmError(f"{', '.join(missing)} are missing: `make system` installs slurm-wlm and munge")
    folder.chmod(0o755)  # munge asks for folders that no others may write
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = {"controller": one.getsockname()[1], "daemon": other.getsockname()[1]}
    configuration = folder / "slurm.conf"
    host, user = socket.gethostname().partition(".")[0], pwd.getpwuid(os.getuid()).pw_name
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20  # MiB
    configuration.write_text(
        _CONFIGURATION.format(host=host, user=user, folder=folder, cores=os.cpu_count() or 1, memory=memory, **ports)
    )
    # Snakemake's jobs call `srun` without any variable that begins with SLURM_: it would not find the configuration.
    srun = folder / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun", path=_PATH)} "$@"\n')
    srun.chmod(0o755)
    path = os.pathsep.join([str(srun.parent), _PATH])
    node = OneNode(dict(os.environ) | {"SLURM_CONF": str(configuration), "PATH": path})
    munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
    munge += [f"--{what}-file={folder}/munge.{what}" for what in ("log", "pid", "seed")]
    daemons = {"munged": munge, "slurmctld": ["slurmctld", "-D", "-i"], "slurmd": ["slurmd", "-D"]}
    with ExitStack() as running:
        for name, command in daemons.items():
            log = running.enter_context((folder / f"{name}.out").open("w"))
            process = subprocess.Popen(command, env=node.environment, stdout=log, stderr=subprocess.STDOUT)
            running.callback(process.wait)
            running.callback(process.terminate)
            _wait(name, process, folder, node)
        yield node


def _wait(name: str, process: subprocess.Popen, folder: Path, node: OneNode) -> None:
    """Until the daemon answers."""
    while True:
        if process.poll() is not None:
            raise SlurmError(f"{name} ended by itself: {(folder / f'{name}.out').read_text()[-1000:]}")
        if name == "munged":
            ready = (folder / "munge.socket").exists()
        elif name == "slurmctld":
            ready = "UP" in _said(node, "scontrol", "ping")
        else:
            ready = "idle" in _said(node, "sinfo", "--noheader", "--format=%T")
        if ready:
            return
        time.sleep(0.2)


def _said(node: OneNode, *command: str) -> str:
    try:
        return node(*command)
    except SlurmError:
        return ""
