"""Ending with whoever started a training."""

import ctypes
import os
import signal

_SET_DEATH_SIGNAL = 1  #: PR_SET_PDEATHSIG, prctl(2)


def end_with_parent() -> None:
    """Have the system kill this process when the one that started it ends, however that does.

    A service stops its training for moments at a time (`service.giving_way`): without it nobody would let it go on, and
    it would hold the turn to train for ever. Only Linux can do that; elsewhere nothing happens.
    """
    parent = os.getppid()
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it ended meanwhile
        os.kill(os.getpid(), signal.SIGKILL)
