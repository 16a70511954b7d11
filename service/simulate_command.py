"""`craic simulate`: an experiment with a known truth, run end to end through the API."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from service.command_line import read_settings

if TYPE_CHECKING:
    from service.simulation.api import Api
    from service.simulation.running import Sent, Simulation

_LARGEST_EFFECT = 0.25  # as service.simulation.people.LARGEST_EFFECT, which is not imported for a --help
_USUAL_EFFECT = 0.15
_MOST_PEOPLE = 100_000


@click.command()
@click.option(
    "--effect",
    type=click.FloatRange(-0.9, _LARGEST_EFFECT),
    default=_USUAL_EFFECT,
    show_default=True,
    help="True relative effect on clicks.",
)
@click.option("--null", is_flag=True, help="No effect at all, as --effect 0: nothing should be found.")
@click.option(
    "--people",
    type=click.IntRange(2, _MOST_PEOPLE),
    help="How many.  [default: as many as find the effect in 99 of 100 experiments]",
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Which people, and what they do."
)
@click.option("--url", help="Where the service is.  [default: http://127.0.0.1 and SERVICE_PORT]")
@click.option("--api-key", envvar="API_KEY", help="For a service on another machine.  [default: API_KEY]")
@click.option("--experiment", "experiment_id", help="A name for the experiment.  [default: by seed and time]")
@click.option("--layer", default="", help="The layer to run in.  [default: one of its own]")
@click.option("--layer-from", type=click.FloatRange(0.0, 1.0), default=0.0, help="Where in it to begin.")
@click.option("--layer-to", type=click.FloatRange(0.0, 1.0), default=1.0, help="Where in it to end.")
@click.option(
    "--keep", is_flag=True, help="Leave the people and what counts of them, to look at the results."
)
@click.option("--yes", is_flag=True, help="Also on a site that is not the demo.")
@click.option(
    "--settle-seconds",
    type=click.FloatRange(0.0, 600.0),
    default=5.0,
    show_default=True,
    help="How long to wait for every process of the service to know the experiment; 35 with DynamoDB.",
)
def simulate(
    effect: float,
    null: bool,
    people: int | None,
    url: str | None,
    api_key: str | None,
    keep: bool,
    yes: bool,
    settle_seconds: float,
    **asked: Any,
) -> None:
    """Run an experiment whose truth is known, with invented people, through the API of a running service.

    Its two variants answer alike. Person i clicks on something in an answer with probability p_i, and with
    probability p_i · (1 + effect) if they are of the variant "changed": so clicks for each answer differ by exactly
    that effect, and so do saves, each of which follows a click. Hides and the number of answers do not differ.
    Afterwards the experiment is completed and its people are erased, unless they are kept.

    \b
    craic demo                      # in another shell
    craic simulate --effect 0.15    # the results should say so
    craic simulate --null           # and here that nothing was found
    """
    from service.simulation.running import Simulation

    effect = 0.0 if null else effect
    asked["experiment_id"] = asked["experiment_id"] or f"simulation-{asked['seed']}-{int(time.time())}"
    simulation = Simulation(effect=effect, people=people or _enough_people(effect), **asked)
    url = url or f"http://127.0.0.1:{read_settings().service_port}"
    _run(_simulate(simulation, url, api_key, keep, yes, settle_seconds))


def _enough_people(effect: float) -> int:
    """To find the effect; where there is none, as many as would find the usual one."""
    from service.simulation.people import people_needed
    from service.simulation.running import COMPARISONS

    needed = people_needed(effect or _USUAL_EFFECT, COMPARISONS)
    if needed > _MOST_PEOPLE:
        raise click.UsageError(f"--effect: to find it takes {needed:,} people; say how many with --people")
    return needed


def _run(work: Any) -> None:
    from service.experiments.errors import DefinitionError
    from service.simulation.api import SimulationError

    try:
        asyncio.run(work)
    except (SimulationError, DefinitionError) as error:
        raise click.ClickException(str(error)) from None


async def _simulate(
    simulation: "Simulation", url: str, api_key: str | None, keep: bool, yes: bool, settle_seconds: float
) -> None:
    from service.simulation.api import open_api
    from service.simulation.running import CONNECTIONS, counted, drive, end, is_demo, start

    async with open_api(url, api_key, CONNECTIONS) as api:
        if not yes and not await is_demo(api):
            raise click.UsageError(
                f"{url} is not the demo; what it counts would change. --yes does it all the same"
            )
        click.echo(
            f"{simulation.people:,} people, about {simulation.expected_requests:,} requests to {url}",
            err=True,
        )
        await start(api, simulation, settle_seconds)
        try:
            with _bar("They look and click", simulation.people) as on_person:
                sent = await drive(api, simulation, on_person)
            _print(simulation, sent, await counted(api, simulation, sent))
        finally:
            await end(api, simulation)
            if not keep:
                await _erase(api, simulation)
    if keep:
        click.echo(f"\nAll of it: {url}/v1/experiments/{simulation.experiment_id}/results")


async def _erase(api: "Api", simulation: "Simulation") -> None:
    from service.simulation.running import erase

    with _bar("They are erased", simulation.people) as on_person:
        await erase(api, simulation, on_person)


@contextmanager
def _bar(label: str, length: int) -> Iterator[Callable[[], None]]:
    with click.progressbar(length=length, label=f"{label:<20}", file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def _print(simulation: "Simulation", sent: "Sent", results: Any) -> None:
    from service.simulation.running import CHANGED, CONTROL

    found = sent.rate(CHANGED) / sent.rate(CONTROL) - 1.0
    click.echo(
        f"True effect on clicks for each answer: {simulation.effect:+.1%}; in what was sent: {found:+.1%}"
    )
    for one in results["variants"]:
        click.echo(
            f"  {one['variant_id']:<8} {one['participants']:>7,} people {one['exposures']:>8,} answers"
            f" {one['clicks']:>7,} clicks  {one['metrics']['click_through_rate']:.4f} for each answer"
        )
    click.echo(f"The results page says: {results['verdict']}")
    for sentence in results["explanation"]:
        click.echo(f"  {sentence}")
