"""What a statistic can fail with."""


class NotComputableError(ArithmeticError):
    """There is no such figure for these data; the message says why, fit for callers. It never becomes p = 1."""
