"""Commands that change nothing."""

from typing import TYPE_CHECKING, Any

import click

from service.experiment_commands.working import ID, print_json, print_line, with_store

if TYPE_CHECKING:
    from service.experiments.admin import ExperimentAdmin
    from service.experiments.results.answers import ResultsAnswer
    from service.experiments.stores import PeopleReader


@click.command("list")
def list_command() -> None:
    """Every experiment with its status and weights."""
    for revision in with_store(lambda reader, admin: admin.all()):
        print_line(revision)


@click.command()
@ID
def show(experiment_id: str) -> None:
    """One experiment with all its changes, as JSON."""
    from service.experiments.wire import described_in_detail

    print_json(described_in_detail(with_store(lambda reader, admin: admin.history(experiment_id))))


@click.command()
@ID
@click.option("--format", "kind", type=click.Choice(["csv", "json"]), default="json", show_default=True)
def results(experiment_id: str, kind: str) -> None:
    """What came of an experiment: a verdict, and every figure that it rests on.

    CSV has a row for each variant and metric.
    """
    from service.experiments.people import gather_people
    from service.experiments.results.rows import results_csv
    from service.experiments.results.summary import summarise

    async def read(reader: "PeopleReader", admin: "ExperimentAdmin") -> "ResultsAnswer":
        history = await admin.history(experiment_id)
        people = await gather_people(reader, experiment_id, history[-1].experiment.variant_ids)
        return summarise(history, people)

    found = with_store(read)
    if kind == "csv":
        click.echo(results_csv(found), nl=False)
    else:
        print_json(found)


@click.command()
@ID
@click.option("--format", "kind", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
def export(experiment_id: str, kind: str) -> None:
    """The counts of each person, without names, to compute with elsewhere."""
    from service.experiments.people import gather_people
    from service.experiments.rows import csv_of, rows_of

    async def read(reader: "PeopleReader", admin: "ExperimentAdmin") -> list[dict[str, Any]]:
        revision = await admin.get(experiment_id)
        return rows_of(await gather_people(reader, experiment_id, revision.experiment.variant_ids))

    rows = with_store(read)
    if kind == "csv":
        click.echo(csv_of(rows), nl=False)
    else:
        print_json(rows)
