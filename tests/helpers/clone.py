"""The workflow as a user has it: Snakemake in a clone of the working tree."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

from helpers import warm
from helpers.warm import ENVIRONMENT

ROOT = Path(__file__).parents[2]
TEST_CONFIG = ("--configfile", "config/test.yaml")


def snakemake(folder: Path, *arguments: str, config: tuple[str, ...] = TEST_CONFIG) -> subprocess.CompletedProcess:
    """Run Snakemake in a folder; targets come first, for `--configfile` takes all names that follow it."""
    return warm.run(["snakemake", *arguments, "--cores", "2", *config], folder)


def summary(folder: Path, *targets: str, config: tuple[str, ...] = TEST_CONFIG) -> list[dict[str, str]]:
    """Snakemake's table of all outputs that are wanted: rule, status, plan."""
    done = snakemake(folder, *targets, "--summary", config=config)
    assert done.returncode == 0, done.stdout + done.stderr
    header, *rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    return [dict(zip(header, row, strict=True)) for row in rows]


class Project:
    """A git clone with DVC, whose `config.yaml` is the small config, and what is done in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}

    def run(self, *command: str, check: bool = True, **environment: str) -> str:
        """Run Snakemake, DVC or one of ShiftScope's modules, and return everything that it printed."""
        done = warm.run(list(map(str, command)), self.folder, ENVIRONMENT | self.environment | environment)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout + done.stderr

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.folder, env=ENVIRONMENT | self.environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        return self.run("dvc", *arguments)

    def sharing(self, *arguments: str, check: bool = True) -> str:
        """What `make track`, `make push`, `make pull`, `make verify` and `make why` call."""
        source = str(self.folder / "src")
        return self.run("python", "-m", "shiftscope.workflow.sharing", *arguments, check=check, PYTHONPATH=source)

    def executed(self, *arguments: str, check: bool = True) -> set[str]:
        """The nodes that a run really executes, told by the scripts themselves; none twice."""
        trace = self.folder / "work/trace"
        trace.parent.mkdir(exist_ok=True)
        trace.write_text("")
        self.run("snakemake", *arguments, "--cores", "2", check=check, SHIFTSCOPE_TRACE=str(trace))
        nodes = [
            Path(line).relative_to("results/logs").with_suffix("").as_posix() for line in trace.read_text().split()
        ]
        assert len(nodes) == len(set(nodes))
        return set(nodes)

    def share(self, message: str) -> None:
        """The second half of the user's loop."""
        self.sharing("track")
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)
        self.sharing("push")

    def follow(self, said: str) -> list[str]:
        """Do every command that a message has between backquotes, as a user would who believes it; which these were."""
        commands = re.findall(r"`((?:make|git|rm|[\w/.-]*dvc|[\w/.-]*snakemake) [^`]+)`", said)
        for command in commands:
            program, *arguments = shlex.split(command)
            program = Path(program).name
            if program == "make":
                known = {"run": lambda: self.run("snakemake", "--cores", "2")}
                known.get(arguments[0], lambda given=arguments: self.sharing(*given))()
            elif program == "git":
                self.git(*arguments)
            elif program == "rm":
                (self.folder / arguments[0]).unlink()
            else:
                self.run(program, *arguments)
        return commands

    def clone(self, folder: Path) -> "Project":
        """Another clone of what this one pushed."""
        subprocess.run(["git", "clone", "--quiet", self.folder.parent / "origin.git", folder], check=True)
        other = Project(folder)
        other.name_author()
        return other

    def name_author(self) -> None:
        self.git("config", "user.name", self.folder.name)
        self.git("config", "user.email", f"{self.folder.name}@example.org")

    def change(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))


def new_project(clone: Path, folder: Path) -> Project:
    """A project in `folder`/first with a git remote and a DVC remote beside it, by relative addresses: it may be copied."""
    first = Project(folder / "first")
    shutil.copytree(clone, first.folder)
    shutil.copy(first.folder / "config/test.yaml", first.folder / "config.yaml")
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", folder / "origin.git"], check=True)
    first.git("init", "--quiet", "-b", "main")
    first.name_author()
    first.git("remote", "add", "origin", "../origin.git")
    (folder / "store").mkdir()
    first.dvc("remote", "add", "--quiet", "--default", "store", "../store")
    first.dvc("config", "cache.type", "copy")
    first.git("add", "--all")
    first.git("commit", "--quiet", "-m", "start")
    first.git("push", "--quiet", "--set-upstream", "origin", "main")
    return first
