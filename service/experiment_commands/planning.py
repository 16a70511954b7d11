"""`craic experiment plan`."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from service.experiment_commands.working import with_store

if TYPE_CHECKING:
    from service.experiments.admin import ExperimentAdmin
    from service.experiments.planning import PlanAnswer
    from service.experiments.stores import PeopleReader


@click.command()
@click.argument("experiment_id", required=False)
@click.option("--effect", type=float, required=True, help="The relative change to be found: 0.1 is a tenth.")
@click.option(
    "--baseline",
    type=float,
    help="The metric without it; the share of people who do a thing, unless a deviation is given."
    "  [default: what the experiment's control has shown]",
)
@click.option("--standard-deviation", type=float, help="Of people's own figures.")
@click.option("--weights", help="Control's first, such as 1,1,2.  [default: the experiment's, or 1,1]")
@click.option(
    "--comparisons", type=int, help="How many are corrected for.  [default: variants × goal metrics]"
)
@click.option("--alpha", type=float, help="How often nothing may look like something.  [default: 0.05]")
@click.option("--power", type=float, help="How often the change is found.  [default: 0.8]")
@click.option("--people-a-day", type=float, help="To say how many days it takes.")
@click.option("--save", is_flag=True, help="Keep the number as the experiment's planned size.")
def plan(experiment_id: str | None, save: bool, weights: str | None, **asked: float | None) -> None:
    """How many people an experiment needs to find a change of a given size.

    \b
    craic experiment plan --baseline 0.1 --effect 0.05
    craic experiment plan rec_algorithm_v1 --effect 0.1 --people-a-day 300 --save
    """
    from service.experiments.planning import PlanRequest, plan_for

    if save and experiment_id is None:
        raise click.UsageError("--save: expected an experiment to keep it with")
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if weights is not None:
        given["weights"] = _numbers(weights)
    if experiment_id is not None:
        given["experiment_id"] = experiment_id
    try:
        request = msgspec.convert(given, PlanRequest)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None

    async def work(reader: "PeopleReader", admin: "ExperimentAdmin") -> "PlanAnswer":
        found = await plan_for(request, reader, admin)
        if save and experiment_id is not None:
            await admin.change(
                experiment_id, lambda one: msgspec.structs.replace(one, planned_people=found.people)
            )
        return found

    _print(with_store(work), asked["people_a_day"])


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"weights: expected numbers such as 1,1,2, got {text!r}") from None


def _print(found: "PlanAnswer", people_a_day: float | None) -> None:
    parts = ", ".join(f"{part:,}" for part in found.per_variant)
    click.echo(
        f"{found.people:,} people ({parts}, control first) find a change of {found.effect:+.1%}"
        f" of {found.baseline:.4g} with probability {found.power:g}, looked at as often as you like."
    )
    click.echo(f"{found.people_one_look:,} are enough if it is looked at once, at the end.")
    click.echo(f"Level {found.alpha:g} over {found.comparisons} comparisons.")
    if found.days is not None:
        click.echo(f"At {people_a_day:,g} people a day that takes {found.days:,} days.")
