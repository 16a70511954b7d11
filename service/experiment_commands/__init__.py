"""`craic experiment …`: what the routes of /v1/experiments do, from a shell on the machine.

Works on the store itself, so the service need not run; one that does sees a change when it looks next.
"""

import click

from service.experiment_commands.changing import (
    add_variant,
    change,
    complete,
    create,
    pause,
    set_weights,
    start,
)
from service.experiment_commands.planning import plan
from service.experiment_commands.reading import export, list_command, results, show

__all__ = ["experiment"]


@click.group()
def experiment() -> None:
    """Experiments: who is shown which variant, and what came of it.

    \b
    craic experiment list
    craic experiment plan rec_algorithm_v1 --baseline 0.1 --effect 0.1 --save
    craic experiment start rec_algorithm_v1
    craic experiment add-variant rec_algorithm_v1 als --weight 0.25
    craic experiment set-weights rec_algorithm_v1 control=1 hybrid=3
    craic experiment results rec_algorithm_v1
    """


for command in (
    *(list_command, show, create, change, start, pause, complete, set_weights, add_variant),
    *(plan, results, export),
):
    experiment.add_command(command)
