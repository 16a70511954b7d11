"""The types of sparse matrices. Apart from what works on them, so that whoever holds one needs no compiled kernels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Pairs(NamedTuple):
    """Which columns each row holds.

    `indptr` int64[n_rows + 1], `indices` int32[nnz], ascending and unique within a row.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]

    @property
    def n_rows(self) -> int:
        return self.indptr.size - 1


class Rows(NamedTuple):
    """Which columns each row holds, and how strongly.

    `indptr` int64[n_rows + 1], `indices` int32[nnz] ascending, unique in a row, `weights` uint8[nnz] in
    1..255: a preference in units of 1/255, because one byte a posting keeps a large site in memory.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weights: NDArray[np.uint8]

    @property
    def n_rows(self) -> int:
        return self.indptr.size - 1
