"""Commands that make a new version of an experiment."""

import sys
from pathlib import Path
from typing import TypeVar

import click
import msgspec
from msgspec import Struct

from service.experiment_commands.working import ID, print_line, with_store

T = TypeVar("T", bound=Struct)

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True)
_HEAVIEST = 1e6


@click.command()
@click.argument("file", type=_FILE)
def create(file: Path) -> None:
    """Make a draft from a JSON FILE (- for standard input), with the fields of POST /v1/experiments."""
    from service.experiments.wire import ExperimentRequest

    asked = _decoded(ExperimentRequest, _read(file)).experiment()
    print_line(with_store(lambda reader, admin: admin.create(asked)))


@click.command()
@ID
@click.argument("file", type=_FILE)
def change(experiment_id: str, file: Path) -> None:
    """Change what a JSON FILE (- for standard input) names, with the fields of PATCH /v1/experiments/ID."""
    from service.experiments.wire import ExperimentChange

    asked = _decoded(ExperimentChange, _read(file))
    print_line(with_store(lambda reader, admin: admin.change(experiment_id, asked.applied_to)))


@click.command()
@ID
def start(experiment_id: str) -> None:
    """Assign people from now on."""
    print_line(with_store(lambda reader, admin: admin.move_to(experiment_id, "running")))


@click.command()
@ID
def pause(experiment_id: str) -> None:
    """Assign nobody until it is started again."""
    print_line(with_store(lambda reader, admin: admin.move_to(experiment_id, "paused")))


@click.command()
@ID
def complete(experiment_id: str) -> None:
    """Assign nobody any more."""
    print_line(with_store(lambda reader, admin: admin.move_to(experiment_id, "completed")))


@click.command("set-weights")
@ID
@click.argument("weights", nargs=-1, required=True, metavar="VARIANT=WEIGHT...")
def set_weights(experiment_id: str, weights: tuple[str, ...]) -> None:
    """Change how many people get which variant; a weight of 0 ends one. People keep what they were shown."""
    given = dict(_weight(text) for text in weights)
    print_line(with_store(lambda reader, admin: admin.set_weights(experiment_id, given)))


@click.command("add-variant")
@ID
@click.argument("variant_id")
@click.option(
    "--weight", type=click.FloatRange(0.0, _HEAVIEST), required=True, help="As the others' weights."
)
@click.option("--arm", help="What makes its answers.  [default: the variant's name]")
@click.option("--name", default="", help="What people are to read.")
def add_variant(experiment_id: str, variant_id: str, weight: float, arm: str | None, name: str) -> None:
    """Add a variant, also to an experiment that runs. It takes its part; nobody else moves.

    \b
    craic experiment add-variant rec_algorithm_v1 als --weight 0.25
    """
    from service.experiments.definition import Variant

    asked = {"variant_id": variant_id, "weight": weight, "arm": arm or variant_id, "name": name}
    variant = _decoded(Variant, msgspec.json.encode(asked))
    print_line(with_store(lambda reader, admin: admin.add_variant(experiment_id, variant)))


def _read(file: Path) -> bytes:
    return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()


def _decoded(kind: type[T], raw: bytes) -> T:
    """Refused by field, in a line, as the routes do."""
    from service.errors import BadRequestError
    from service.wire import decode

    try:
        return decode(kind, raw)
    except BadRequestError as error:
        raise click.ClickException(error.detail) from None


def _weight(text: str) -> tuple[str, float]:
    variant_id, _, weight = text.partition("=")
    try:
        value = float(weight)
    except ValueError:
        value = -1.0
    if not variant_id or not 0.0 <= value <= _HEAVIEST:
        raise click.BadParameter(f"expected VARIANT=WEIGHT with a weight from 0 to 1000000, got {text!r}")
    return variant_id, value
