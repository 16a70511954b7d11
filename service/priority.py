"""Work beside the service: on a small machine a training must take nothing that a request could use."""

import os
from contextlib import suppress

#: What the system knows as the lowest priority.
LOWEST = 19


def let_others_go_first(pid: int) -> None:
    """Let a process that was just started, and its threads, have only the processor time that all others leave.

    On Linux by the idle policy, sched(7), which whoever wakes up interrupts at once, where the lowest priority alone
    would let them wait. A machine whose processor time is bounded, as one out of credits, spends it in that order too.
    Nothing happens when it has ended.
    """
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, LOWEST)
        if hasattr(os, "sched_setscheduler"):
            # A container may forbid it; the lowest priority holds all the same.
            with suppress(PermissionError):
                os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
