"""The most memory that a process ever had."""

import re
from pathlib import Path


def high_water_mb(pid: int | None = None) -> float:
    """The most memory that a process (by default this one) ever had, MB of 10⁶ bytes, by Linux's own account.

    Not getrusage's, which begins with the memory of the process that started it. OSError when it has ended.
    """
    status = Path(f"/proc/{pid or 'self'}/status").read_text("ascii")
    found = re.findall(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    if not found:
        raise ProcessLookupError(f"process {pid} has ended")  # a zombie has no memory
    return int(found[0]) * 1_024 / 1e6
