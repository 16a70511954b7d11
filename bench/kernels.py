"""The part `kernels`: what a request's compute costs beside work that never changes, and what the memory allows.

Each start is a process of its own on the server's core (`bench.compute`), since where arrays come to lie in memory
makes some per cent of a difference between two starts of the same program.
"""

import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np

from bench.figures import Findings
from bench.histograms import histogram_of, percentiles
from bench.homes import Home, working_copy
from bench.servers import Cores, ServerFailedError, pinned, service_environment

PART = "kernels"


class Plan(NamedTuple):
    """How much is measured."""

    starts: int
    rounds: int


QUICK, FULL = Plan(4, 5), Plan(6, 15)


def measure_kernels(home: Home, cores: Cores, findings: Findings, plan: Plan) -> None:
    """All starts. Raises ServerFailedError when one fails."""
    with working_copy(home) as copy:
        starts = [_start(copy, cores, plan.rounds) for _ in range(plan.starts)]
    for arm in starts[0]["arms"]:
        of_arm = [start["arms"][arm] for start in starts]
        for cost in [name for name in of_arm[0] if name.startswith("cost")]:
            findings.add_rounds(PART, arm, cost, [one[cost] for one in of_arm])
        times = np.concatenate([one["answer_us"] for one in of_arm])
        named = percentiles(histogram_of(times / 1000.0))
        findings.add(PART, arm, {f"answer_{name}": value for name, value in named.items()})
    _add_memory(findings, [start["postings"] for start in starts])


def _add_memory(findings: Findings, starts: list[dict[str, list[float]]]) -> None:
    for name in starts[0]:
        findings.add_rounds(PART, "memory", name, [start[name] for start in starts])
    for limit in ("rows", "additions"):
        shares = [
            [
                ours / most
                for ours, most in zip(start["postings_per_second"], start[f"{limit}_per_second"], strict=True)
            ]
            for start in starts
        ]
        findings.add_rounds(PART, "memory", f"share_of_{limit}", shares)


def _start(home: Any, cores: Cores, rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.compute", str(home), str(rounds)]
    environment = service_environment(home, os.environ)
    with pinned(cores.server):
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerFailedError(f"bench.compute ended with status {done.returncode}\n{done.stderr[-4000:]}")
    return dict(json.loads(done.stdout))
