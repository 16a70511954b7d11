"""What people did, as columns. Apart from the folding of it, so that reading a site needs no compiled kernels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.actions import Action


@dataclass(frozen=True, eq=False)
class InteractionLog:
    """What people did, one row an action, in any order.

    `users` int32[n], `events` int32[n], `actions` int8[n] (codes of `Action`), each −1 where unknown; `times`
    float64[n] in unix seconds, NaN where unknown. ValueError names the field of another dtype, length or
    range.
    """

    users: NDArray[np.int32]
    events: NDArray[np.int32]
    actions: NDArray[np.int8]
    times: NDArray[np.float64]

    def __post_init__(self) -> None:
        dtypes = {"users": np.int32, "events": np.int32, "actions": np.int8, "times": np.float64}
        for name, dtype in dtypes.items():
            values = getattr(self, name)
            if values.dtype != dtype or values.shape != (self.users.size,):
                expected = f"{np.dtype(dtype)}[{self.users.size}]"
                raise ValueError(f"{name}: expected {expected}, got {values.dtype}{list(values.shape)}")
        check_codes("actions", self.actions, len(Action))
        if np.isinf(self.times).any():
            raise ValueError("times: infinite; an unknown time is NaN")

    def __len__(self) -> int:
        return self.users.size

    def select(self, keep: NDArray[np.bool_]) -> "InteractionLog":
        """The rows where `keep` bool[n] is true."""
        return InteractionLog(self.users[keep], self.events[keep], self.actions[keep], self.times[keep])


def check_codes(name: str, codes: NDArray[np.signedinteger], n: int) -> None:
    """ValueError, naming the column and the first bad value, unless all are in 0..n − 1 or −1 for unknown."""
    if codes.size and not (codes.min() >= -1 and codes.max() < n):
        bad = codes[(codes < -1) | (codes >= n)][0]
        raise ValueError(f"{name}: {bad} is outside -1..{n - 1}")
