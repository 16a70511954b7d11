"""The `craic` command. What each command needs is imported when it runs: a server's start waits for nothing else."""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from service.command_line import FAILED, foreseen_failures, read_settings, run_foreseen
from service.experiment_commands import experiment
from service.exporting.command import export
from service.mailing.command import recommend
from service.memory import start_without_collections
from service.process import leave_out_extras, prepare_this_process
from service.settings import Settings
from service.simulate_command import simulate

if TYPE_CHECKING:
    from service.importing.loading import ImportReport, Progress
    from service.models import ModelRegistry
    from service.storage.database import Database

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="whatsthecraic-ml")
def main() -> None:
    """Recommendations for events sites: import, train, serve.

    State lives under CRAIC_HOME (default: .craic in this folder). With DB_HOST set, the site's MySQL is used
    instead of the embedded database. Every setting is an environment variable; README.md lists them.

    \b
    A first site in three commands:
      craic import --events events.csv --interactions interactions.csv
      craic train
      craic serve
    """
    prepare_this_process()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


main.add_command(experiment)
main.add_command(recommend)
main.add_command(export)
main.add_command(simulate)


@main.command("import")
@click.option("--events", type=_FILE, help="Events: event_id,title,start_time and more, see above.")
@click.option("--interactions", type=_FILE, help="Interactions: user_id,event_id and more, see above.")
@click.option("--demo", is_flag=True, help="A synthetic year of Irish gigs instead of files.")
def import_command(events: Path | None, interactions: Path | None, demo: bool) -> None:
    """Import events and interactions from CSV or JSON lines (.csv, .jsonl, .ndjson; .gz as well).

    \b
    Events:       event_id,title,city,start_time,end_time,venue_name,genres,tags,
                  price_min,price_max,latitude,longitude,ticket_url
                  (event_id, title and start_time are needed, the others may be absent)
    Interactions: user_id,event_id,action,created_at
                  (user_id and event_id are needed; action is save unless it says
                  click, hide, skip, thumbs_up or thumbs_down)

    Times are ISO 8601 or unix seconds. A file is imported whole or not at all; a bad line is named with its
    number and column. Importing a file again adds nothing twice.

    Exit codes: 0 imported, 1 nothing imported, 2 wrong command line.
    """
    if demo and (events or interactions):
        raise click.UsageError(
            "--demo brings its own files; give either --demo or --events and --interactions"
        )
    if not demo and not events and not interactions:
        raise click.UsageError("nothing to import: give --events, --interactions or --demo")
    run_foreseen(
        _import_demo(read_settings()) if demo else _import_files(read_settings(), events, interactions)
    )


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def train(arguments: tuple[str, ...]) -> None:
    """Train a model on everything in the database and publish it."""
    _become_training("train", arguments)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def tune(arguments: tuple[str, ...]) -> None:
    """Choose the settings of the arms for this site."""
    _become_training("tune", arguments)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def evaluate(arguments: tuple[str, ...]) -> None:
    """Measure every arm on held-out interactions."""
    _become_training("evaluate", arguments)


@main.command()
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes.")
@click.option("--worker", type=int, hidden=True, help="The number of this process among several.")
def serve(workers: int, worker: int | None) -> None:
    """Serve the published model on SERVICE_PORT (4004).

    Workers share the port and the memory of the model. Stop with Ctrl-C or SIGTERM: requests under way are
    answered first.
    """
    _serve(read_settings(), workers, worker)


@main.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the models on disk, the newest first; `craic models rollback` goes back to an earlier one."""
    if context.invoked_subcommand is None:
        _list_models(read_settings())


@models.command()
@click.argument("version", required=False)
def rollback(version: str | None) -> None:
    """Publish an earlier model again: VERSION, or the one before the current one.

    A running service takes it over within seconds. Exit codes: 0 published, 1 nothing changed.
    """
    from core.bundle import BundleError
    from service.models import ModelRegistry, NoModelError

    settings = read_settings()
    registry = ModelRegistry(settings.models_directory)
    try:
        published = registry.roll_back(version)[0].version
    except (NoModelError, BundleError) as error:
        click.echo(f"Nothing changed: {error}", err=True)
        sys.exit(FAILED)
    click.echo(f"{published} is published")
    run_foreseen(_record_model(settings, registry, published))


@main.command()
def migrate() -> None:
    """Create and update this service's tables in the database. May be run any number of times.

    The embedded database needs no migrating; on the site's server the same files can be applied with the plain
    client (mysql gigsdb < migrations/003_ml_service_tables.sql and so on).
    """
    applied = run_foreseen(_migrate(read_settings()))
    click.echo("\n".join(f"applied {name}" for name in applied) or "Everything was applied before.")


@main.command()
@click.option("--events", type=_FILE, help="Your events instead of the demo's.")
@click.option("--interactions", type=_FILE, help="Your interactions instead of the demo's.")
def demo(events: Path | None, interactions: Path | None) -> None:
    """Fill the database if it is empty, train if need be, and serve.

    With --events and --interactions it does so with your own data. What is there from an earlier start is used
    again; a model is trained when there is none, or when the files brought something new.
    """
    if bool(events) != bool(interactions):
        raise click.UsageError("--events and --interactions belong together")
    settings = read_settings()
    example, has_grown = run_foreseen(_prepare_demo(settings, events, interactions))
    _train_if_needed(settings, has_grown)
    click.echo(
        f"\nServing on port {settings.service_port}. Try:\n\n"
        f"  curl -s localhost:{settings.service_port}/v1/recommendations"
        f""" -H 'content-type: application/json' -d '{{"user_id": "{example}", "limit": 3}}'\n\n"""
        f"or open http://localhost:{settings.service_port}/docs\n"
    )
    _serve(settings, workers=1)


def _list_models(settings: Settings) -> None:
    """One line a model: its version, whether it is the published one, and what its manifest says."""
    from core.bundle import BundleError
    from service.models import ModelRegistry
    from service.refusals import read_refusals

    registry = ModelRegistry(settings.models_directory)
    current = registry.current()
    for version in reversed(registry.versions()):
        try:
            facts = registry.facts(version)
            measures = facts["validation_metrics"]
            ndcg = f"{measures['ndcg_at_10']:.4f}" if measures else "not measured"
            told = f"{facts['training_samples']:>12,} interactions   NDCG@10 {ndcg}"
        except BundleError as error:
            told = str(error)
        click.echo(f"{'*' if version == current else ' '} {version}  {told}")
    for refusal in read_refusals(registry.directory):
        click.echo(f"x {refusal.model_version}  not published: {'; '.join(refusal.reasons)}")
    if current is None:
        click.echo("No model is published; train one with: craic train", err=True)


async def _record_model(settings: Settings, registry: "ModelRegistry", version: str) -> None:
    """Say in model_versions what serves; the pointer on disk is what counts, so a database away stops nothing."""
    from service.database import open_configured_database
    from service.model_record import record_model
    from service.storage.errors import StorageError
    from service.storage.queries.models import UnknownModelError

    try:
        database = await open_configured_database(settings)
        try:
            await record_model(database, registry, version, int(time.time()))
        finally:
            await database.close()
    except (StorageError, UnknownModelError, OSError) as error:
        click.echo(f"model_versions does not say so: {error}", err=True)


async def _prepare_demo(
    settings: Settings, events: Path | None, interactions: Path | None
) -> tuple[str, bool]:
    """Fill the database if it is empty or files are given; return somebody to try, and whether anything came."""
    from service.database import open_configured_database
    from service.storage.queries.interactions import count_rows, somebody

    database = await open_configured_database(settings)
    has_grown = False
    try:
        if events and interactions:
            has_grown = await _import_into(database, events, interactions)
        elif not (await count_rows(database)).events:
            click.echo("The database is empty: making a synthetic year of Irish gigs", err=True)
            has_grown = await _import_demo_into(database)
        return await somebody(database) or "42", has_grown
    finally:
        await database.close()


def _train_if_needed(settings: Settings, has_grown: bool) -> None:
    """Train when something was imported, or when no model is published."""
    from service.models import ModelRegistry

    if has_grown or ModelRegistry(settings.models_directory).current() is None:
        code = subprocess.run([sys.executable, "-m", "training", "train"], check=False).returncode
        if code:
            sys.exit(code)


def _become_training(command: str, arguments: tuple[str, ...]) -> NoReturn:
    """Go on as `python -m training`, which this package never imports."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "training", command, *arguments])  # noqa: S606


async def _import_files(settings: Settings, events: Path | None, interactions: Path | None) -> None:
    from service.database import open_configured_database

    database = await open_configured_database(settings)
    try:
        await _import_into(database, events, interactions)
    finally:
        await database.close()


async def _import_demo(settings: Settings) -> None:
    from service.database import open_configured_database

    database = await open_configured_database(settings)
    try:
        await _import_demo_into(database)
    finally:
        await database.close()


async def _import_demo_into(database: "Database") -> bool:
    from service.demo_site import generate_demo_site, write_files
    from service.importing.tastes import store_tastes

    site = generate_demo_site(datetime.now(UTC))
    with tempfile.TemporaryDirectory() as directory:
        interactions, events = write_files(Path(directory), site)
        has_grown = await _import_into(database, events, interactions)
    if (
        not database.dialect.numeric_site_ids
    ):  # the tables of users are this service's own only in its own database
        await store_tastes(database, site.tastes)
    return has_grown


async def _import_into(database: "Database", events: Path | None, interactions: Path | None) -> bool:
    """Import one file or both; return whether that changed anything."""
    from service.importing.events import import_events
    from service.importing.interactions import import_interactions

    has_changed = False
    for what, path, load in (
        ("events", events, import_events),
        ("interactions", interactions, import_interactions),
    ):
        if path:
            with _bar(what) as progress:
                report = await load(database, path, progress)
            click.echo(_told(what, report), err=True)
            has_changed |= bool(report.added or report.changed)
    return has_changed


@contextmanager
def _bar(what: str) -> "Iterator[Progress]":
    with click.progressbar(length=1000, label=f"Importing {what}", file=sys.stderr) as bar:
        yield lambda rows, share: bar.update(round(share * 1000) - bar.pos)


def _told(what: str, report: "ImportReport") -> str:
    parts = {
        "new": report.added,
        "changed": report.changed,
        "there already": report.known,
        "of people who were erased": report.refused,
    }
    return f"{report.rows:,} {what}: " + (
        ", ".join(f"{count:,} {how}" for how, count in parts.items() if count) or "none"
    )


async def _migrate(settings: Settings) -> list[str]:
    from service.database import database_settings
    from service.storage.migrate import migrate as run_migrations
    from service.storage.opening import open_database

    settings.craic_home.mkdir(parents=True, exist_ok=True)
    database = await open_database(database_settings(settings))
    try:
        return list(await run_migrations(database))
    finally:
        await database.close()


def _serve(settings: Settings, workers: int, worker: int | None = None) -> NoReturn:
    start_without_collections()
    leave_out_extras()
    from service.server import serve as run_server

    with foreseen_failures():
        sys.exit(run_server(settings, workers, worker))
