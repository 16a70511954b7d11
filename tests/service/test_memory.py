import subprocess
import sys
from pathlib import Path

import pytest

_SETTLING = """
import re, sys
from core.kernels.heap import sift_down
from service.memory import settle_memory
import numba, numpy as np

@numba.njit
def doubled(numbers):
    return 2 * numbers

def resident():
    resident, is_compiler = 0, False
    for line in open("/proc/self/smaps"):
        if re.match(r"[0-9a-f]+-", line):
            is_compiler = "libllvmlite" in line
        elif is_compiler and line.startswith("Rss:"):
            resident += int(line.split()[1])
    return resident

doubled(np.ones(3))
before = resident()
settle_memory()
after = resident()
same, anew = doubled(np.ones(3)).tolist(), doubled(np.ones((2, 2))).tolist()
print(before, after, same == [2, 2, 2], anew == [[2, 2], [2, 2]])
"""


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells what is resident")
def test_the_compiler_is_given_back_and_still_there_when_it_is_needed() -> None:
    told = subprocess.run([sys.executable, "-c", _SETTLING], capture_output=True, text=True, check=True)
    before, after, same, anew = told.stdout.split()
    assert int(after) < int(before) / 8
    assert (same, anew) == ("True", "True")
