"""How many simulations are trained per second, many in one process against one process each.

`python benchmarks/simulations.py [--networks 32] [--alone 4]` trains networks of `config.yaml`'s size in worlds of three concepts
in one process, and some of them each in a process of its own, as a script per simulation would. It prints networks per
second of both, start of Python included, and their ratio. Seen: 5.3 on two CPU cores (memory-bound); on an H100, where a step of
many networks takes as long as one of one, 31 with 32 networks and 317 with 256.
"""

import argparse
import subprocess
import sys
import time

TRAIN = """
import sys, torch
torch.set_num_threads(1)
from shiftscope.models import Replica
from shiftscope.simulations.latent_dag import LatentDagSimulation
from shiftscope.training.masked import train_replicas
from shiftscope.variants.ntp_mlp import NtpMlp
from shiftscope.workflow.job import _keep_freed_memory

_keep_freed_memory()
first, count, steps = map(int, sys.argv[1:])
law = LatentDagSimulation(n_observed=6)
worlds = [law.draw(seed) for seed in range(first, first + count)]
train_replicas([NtpMlp(steps=steps, lr=0.002)], [Replica(0, world, 0) for world in range(count)], worlds, 256)
"""


def seconds(first: int, count: int, steps: int) -> float:
    """Wall time of a process that trains some networks."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", TRAIN, str(first), str(count), str(steps)], check=True, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=32)
    parser.add_argument("--alone", type=int, default=4)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    alone = sum(seconds(number, 1, given.steps) for number in range(given.alone)) / given.alone
    together = seconds(0, given.networks, given.steps) / given.networks
    print(
        f"one process each: {1 / alone:.3f} networks per second; {given.networks} in one: {1 / together:.3f}; ratio {alone / together:.1f}"
    )


if __name__ == "__main__":
    main()
