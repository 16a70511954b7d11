"""Ids of answers: they join what was shown to what people did with it."""

import os


def new_recommendation_id(now: float) -> str:
    """32 hexadecimal digits: 48 bits of the time in milliseconds (unix seconds given), then 80 random ones.

    Ordered by time like a version 7 UUID (RFC 9562), so that an index on it grows at its end.
    """
    return f"{int(now * 1000):012x}{os.urandom(10).hex()}"
