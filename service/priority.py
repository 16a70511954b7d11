"""Work beside requests: on a small machine a training must take nothing that a request could use."""

import os
import sys
import threading
from contextlib import suppress

#: What the system knows as the lowest priority.
LOWEST = 19
#: By so much threads that record what was answered stand behind the one that answers: they have a third of its weight,
#: so that requests do not wait for a batch, and yet enough to keep up under full load.
STEP_BACK = 5


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


def let_requests_go_first() -> None:
    """Let this thread, which records what others have answered, wait while one that answers has something to do.

    Where threads have a priority of their own, as on Linux; elsewhere it is the process that has one, which stays.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(PermissionError):  # a container may forbid it
            behind = os.getpriority(os.PRIO_PROCESS, os.getpid()) + STEP_BACK
            os.setpriority(os.PRIO_PROCESS, thread, min(behind, LOWEST))
