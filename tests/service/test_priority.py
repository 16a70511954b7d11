import os
import subprocess
import sys

import pytest

from service.priority import LOWEST, STEP_BACK, let_others_go_first


def test_a_process_and_the_threads_that_it_starts_later_take_what_others_leave() -> None:
    program = (
        "import os, threading\n"
        "input()\n"
        "thread = threading.Thread(target=lambda: print(os.sched_getscheduler(0), os.getpriority(0, 0)))\n"
        "thread.start(); thread.join()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True) as process:
        let_others_go_first(process.pid)
        told, _ = process.communicate("go on\n")

    assert told.split() == [str(os.SCHED_IDLE), str(LOWEST)]


def test_a_process_that_has_ended_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    let_others_go_first(process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
def test_a_thread_that_records_steps_back_and_the_others_do_not() -> None:
    program = (
        "import os, threading\n"
        "from service.priority import let_requests_go_first\n"
        "def work():\n"
        "    let_requests_go_first()\n"
        "    print(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))\n"
        "before = os.getpriority(os.PRIO_PROCESS, 0)\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start(); thread.join()\n"
        "print(before, os.getpriority(os.PRIO_PROCESS, 0))\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    of_thread, before, after = map(int, told.split())
    assert of_thread == min(before + STEP_BACK, LOWEST)
    assert after == before
