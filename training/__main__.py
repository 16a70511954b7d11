"""`python -m training`: what `craic train` and `craic evaluate` run, in a process of its own.

A training's memory goes back to the machine when its process ends; the service never imports this package.
"""

from service.memory import give_arrays_back_at_once
from service.process import prepare_this_process

prepare_this_process()
give_arrays_back_at_once()

from training.cli import main  # noqa: E402 - numba reads the environment when it is imported

main(prog_name="craic")
