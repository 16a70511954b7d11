"""All-pairs top-k against sparse_dot_topn: `python -m bench.all_pairs [FILE.npz] [--json]`.

FILE is as `bench.sites` describes. Both compute the k most similar other users of every user by cosine. They take turns
in one process, so that a busy machine slows both; reported are the median time of each and their ratio.

The comparison favours the peer: it is handed float32 rows that are normalised and transposed already, which ours does
in its time, and need not leave out the user themselves: it is asked for k + 1 and they are taken out afterwards.

One JSON line a number of threads: threads, k, users, entries, seconds, peer_seconds, ratio (of the peer's time to
ours), same_similarities (rank by rank, within rounding), same_neighbours (the share of places with the same user; which
of several equally similar users it names the peer leaves open).

Exit codes: 0 measured, 1 the answers differ, 2 not measured.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any

import numba
import numpy as np
import scipy.sparse as sp
from sparse_dot_topn import sp_matmul_topn

from bench.sites import Site, load_site
from core.all_pairs import NearestRows, all_pairs_cosine

SAME, DIFFERENT, NOT_MEASURED = 0, 1, 2

#: Two similarities are the same when they differ by less: each is a sum of rounded products.
TOLERANCE = 1e-5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every number of threads."""
    options = _parser().parse_args(arguments)
    try:
        site = load_site(options.file)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return NOT_MEASURED
    peer = Peer(site)
    outcome = SAME
    for threads in options.threads:
        line = measure(site, peer, options.k, threads, options.repeat)
        print(json.dumps(line) if options.json else row(line), flush=True)
        if not line["same_similarities"]:
            outcome = DIFFERENT
    return outcome


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.all_pairs", description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?", help="an .npz with a training split; a synthetic site without")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("-k", type=int, default=50, help="neighbours of each user (default: 50)")
    parser.add_argument("--repeat", type=int, default=5, help="measurements of each (default: 5)")
    available = [threads for threads in (1, 2) if threads <= numba.get_num_threads()]
    parser.add_argument(
        "--threads", type=int, nargs="+", default=available, help="default: 1, and 2 if there are"
    )
    return parser


class Peer:
    """sparse_dot_topn over the rows of a site's training split."""

    def __init__(self, site: Site) -> None:
        rows = site.train
        weights = rows.weights.astype(np.float64)
        likes = sp.csr_matrix((weights, rows.indices, rows.indptr), (rows.n_rows, site.n_events))
        norms = np.sqrt(likes.multiply(likes).sum(axis=1).A1)
        unit = weights / np.repeat(norms, np.diff(rows.indptr))
        self._unit = sp.csr_matrix((unit.astype(np.float32), rows.indices, rows.indptr), likes.shape)
        self._transposed = self._unit.T.tocsr()

    def product(self, k: int, threads: int) -> Any:
        """The k greatest cosines of each row, best first, the row's with itself among them."""
        n_threads = threads if threads > 1 else None
        return sp_matmul_topn(self._unit, self._transposed, top_n=k, sort=True, n_threads=n_threads)


def measure(site: Site, peer: Peer, k: int, threads: int, repeat: int) -> dict[str, Any]:
    """Both by turns, after one round that compiles and is not counted."""
    contestants: tuple[Callable[[], Any], ...] = (
        lambda: all_pairs_cosine(site.train, site.n_events, k, threads),
        lambda: peer.product(k + 1, threads),
    )
    ours, theirs = (contestant() for contestant in contestants)
    times: list[list[float]] = [[], []]
    for _ in range(repeat):
        for contestant, taken in zip(contestants, times, strict=True):
            started = perf_counter()
            contestant()
            taken.append(perf_counter() - started)
    seconds, peer_seconds = map(median, times)
    return {
        "threads": threads,
        "k": k,
        "users": site.train.n_rows,
        "entries": site.train.indices.size,
        "seconds": round(seconds, 3),
        "peer_seconds": round(peer_seconds, 3),
        "ratio": round(peer_seconds / seconds, 2),
        **agreement(ours, without_self(theirs, k)),
    }


def without_self(product: Any, k: int) -> NearestRows:
    """The peer's answer in the shape of ours: the k best of each row but for the row itself."""
    rows = np.repeat(np.arange(product.shape[0]), np.diff(product.indptr))
    others = (product.indices != rows) & (product.data > 0)
    rows, indices, similarities = rows[others], product.indices[others], product.data[others]
    order = np.lexsort((indices, -similarities, rows))
    rows, indices, similarities = rows[order], indices[order], similarities[order]
    rank = np.arange(rows.size) - np.searchsorted(rows, rows)
    kept = rank < k
    nearest = NearestRows(
        np.full((product.shape[0], k), -1, np.int32), np.zeros((product.shape[0], k), np.float32)
    )
    nearest.indices[rows[kept], rank[kept]] = indices[kept]
    nearest.similarities[rows[kept], rank[kept]] = similarities[kept]
    return nearest


def agreement(ours: NearestRows, theirs: NearestRows) -> dict[str, Any]:
    """Whether the similarities are the same rank by rank, and the share of places that hold the same user."""
    filled = (ours.indices >= 0) | (theirs.indices >= 0)
    same = ours.indices[filled] == theirs.indices[filled]
    return {
        "same_similarities": bool(
            np.allclose(ours.similarities, theirs.similarities, rtol=0.0, atol=TOLERANCE)
        ),
        "same_neighbours": round(float(same.mean()), 4) if same.size else 1.0,
    }


def row(line: dict[str, Any]) -> str:
    """A line of the table."""
    agrees = "the same similarities" if line["same_similarities"] else "DIFFERENT similarities"
    return (
        f"top {line['k']} of {line['users']} users, {line['threads']} thread(s): {line['seconds']:.3f} s, "
        f"sparse_dot_topn {line['peer_seconds']:.3f} s, {line['ratio']:.2f} times as long; {agrees}, "
        f"{line['same_neighbours']:.1%} the same users in the same places"
    )


if __name__ == "__main__":
    sys.exit(main())
