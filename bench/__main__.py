"""`python -m bench`, what `tox -e bench` runs: measure, show, and fail when a gate of budget.toml is missed.

BENCH_DATA=FILE.npz names the data, in the format of `bench.sites`; without it a synthetic site of the same size is made
up, the same one every time. The first run on some data prepares it, which takes a minute or two. Figures are printed
and written to bench/results: latest.json, and latest.html with plots.

Exit codes: 0 every gate kept (aims aside), 1 a gate missed, or slower (compare), 2 not measured.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.answers import WrongAnswerError
from bench.comparing import compare, expectations
from bench.figures import Findings, text_table
from bench.gates import BudgetError, judge, read_budget
from bench.homes import RESULTS, HomeError
from bench.load import LoadError
from bench.mysql_site import MissingServerError
from bench.parts import PARTS, Setting, default_parts, measure_parts
from bench.report import ReportError, Run, now, passed, read_findings, write_json, write_page, write_plots
from bench.servers import ServerFailedError, end_in_order, machine

KEPT, MISSED, NOT_MEASURED = 0, 1, 2

#: Why there may be no figures: what these say is for people, everything else is a defect of the bench.
UNMEASURED = (
    HomeError,
    MissingServerError,
    ServerFailedError,
    LoadError,
    WrongAnswerError,
    BudgetError,
    ReportError,
    OSError,
    subprocess.CalledProcessError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and judge, or compare runs."""
    options = _parser().parse_args(arguments)
    end_in_order()
    try:
        return int(options.work(options))
    except UNMEASURED as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return NOT_MEASURED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--full", action="store_true", help="every part, at length; without it five minutes at most"
    )
    parser.add_argument(
        "--part", choices=[*PARTS], action="append", help="this part only; may be given again"
    )
    parser.add_argument("--json", type=Path, default=RESULTS / "latest.json", help="where the figures go")
    parser.add_argument("--plots", type=Path, help="a directory to leave each plot in as an SVG file")
    parser.set_defaults(work=_run)
    commands = parser.add_subparsers(title="with the JSON files of runs")
    comparing = commands.add_parser("compare", help="tell a regression from noise")
    comparing.add_argument("runs", nargs=2, type=Path, metavar="RUN")
    comparing.set_defaults(work=_compare)
    expecting = commands.add_parser("expect", help="what the gates on costs may expect, from several runs")
    expecting.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    expecting.set_defaults(work=_expect)
    return parser


def _run(options: argparse.Namespace) -> int:
    gates = read_budget()
    parts = options.part or default_parts(full=options.full)
    RESULTS.mkdir(exist_ok=True)
    setting = Setting.prepared(full=options.full)
    findings = Findings()
    try:
        measure_parts(setting, parts, findings)
    except BaseException:
        print(text_table(findings.figures))  # of a run that is ended or fails, what it has measured so far
        raise
    yielded = [name for part in parts for name in PARTS[part].yields]
    measured = [name for name in yielded if name not in findings.left_out]
    verdicts = judge(gates, findings.figures, measured, full=options.full)
    run = Run(now(), machine() | {"cores_used": setting.cores.told}, setting.home.data, findings, verdicts)
    print(
        f"{run.data}, {setting.home.n_users:,} users; {setting.cores.told}\n\n{text_table(findings.figures)}\n"
    )
    print("\n".join([*findings.notes, *map(str, verdicts)]))
    _leave(options, run)
    return KEPT if passed(verdicts) else MISSED


def _leave(options: argparse.Namespace, run: Run) -> None:
    page = options.json.with_suffix(".html")
    write_json(options.json, run)
    write_page(page, run)
    plots = write_plots(options.plots, run.findings) if options.plots else []
    print("\nwritten to " + ", ".join(map(str, [options.json, page, *plots])))


def _compare(options: argparse.Namespace) -> int:
    before, after = map(read_findings, options.runs)
    changes = compare(before, after)
    print("\n".join(map(str, changes)) or "The two runs have no costs in common")
    return MISSED if any(change.is_regression for change in changes) else KEPT


def _expect(options: argparse.Namespace) -> int:
    if len(options.runs) < 2:
        raise ReportError("expected at least two runs: one says nothing about noise")
    print("\n".join(map(str, expectations([read_findings(path) for path in options.runs]))))
    return KEPT


if __name__ == "__main__":
    sys.exit(main())
