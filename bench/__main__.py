"""`python -m bench`, what `tox -e bench` runs: measure the service and fail when a gate of budget.toml is missed.

BENCH_DATA=FILE.npz names the data, in the format of `bench.sites`; without it a synthetic site of the same size is made
up, the same one every time. The first run on some data prepares it, later ones take under two minutes. The figures are
printed and written to bench/results/latest.json.

Exit codes: 0 every gate kept, 1 a gate missed, 2 not measured.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any

from bench.gates import BudgetError, Verdict, judge, read_budget
from bench.homes import RESULTS, Home, prepare_home
from bench.servers import Cores, available_cores, end_in_order, machine
from bench.service import NOT_MEASURED, UNMEASURED, Measurement, measure_arms, table

KEPT, MISSED = 0, 1


def main(arguments: list[str] | None = None) -> int:
    """Prepare, measure, judge."""
    argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(arguments)
    end_in_order()
    try:
        return _run()
    except (*UNMEASURED, BudgetError) as error:
        print(f"Not measured: {error}", file=sys.stderr)
        return NOT_MEASURED


def _run() -> int:
    gates = read_budget()
    cores = available_cores()
    home = prepare_home(None)
    measured = list(measure_arms(home, cores))
    verdicts = judge(gates, [measurement.as_line() for measurement in measured])
    print(f"{home.data}, {home.n_users:,} users; {cores.told}\n\n{table(measured)}\n")
    print("\n".join(map(str, verdicts)))
    _write_results(_results(home, cores, measured, verdicts))
    return KEPT if all(verdict.kept for verdict in verdicts) else MISSED


def _results(
    home: Home, cores: Cores, measured: list[Measurement], verdicts: list[Verdict]
) -> dict[str, Any]:
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine() | {"cores_used": cores.told},
        "data": home.data,
        "service": [measurement.as_line() for measurement in measured],
        "gates": [
            {
                "figure": verdict.gate.figure,
                "arm": verdict.arm,
                "value": verdict.value,
                "bound": verdict.gate.bound,
                "kept": verdict.kept,
            }
            for verdict in verdicts
        ],
    }


def _write_results(results: dict[str, Any]) -> None:
    path = RESULTS / "latest.json"
    path.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    sys.exit(main())
