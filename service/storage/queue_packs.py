"""Exposures as the queue stores them: some to a row, as one JSON text.

There is one exposure for each answer, thousands a second at the most. A row of its own for each took five times
the processor's time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from service.storage.queue_entries import ROW_BYTES, ExposureEntry, check_instant

#: Exposures in one row.
PACK_ENTRIES = 50

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[ExposureEntry, ...])


@dataclass(frozen=True)
class Pack:
    """Some exposures: how many, when the first of them was, and all of them as JSON."""

    entries: int
    oldest: float
    text: str

    @property
    def stored_bytes(self) -> int:
        """Roughly what the pack takes in the file; the text is ASCII but for names."""
        return ROW_BYTES + len(self.text)


def pack_exposures(entries: Sequence[ExposureEntry]) -> tuple[list[Pack], list[str]]:
    """The exposures in packs, in their order, and for each that cannot be stored the reason."""
    packs, reasons = [], []
    for start in range(0, len(entries), PACK_ENTRIES):
        part = entries[start : start + PACK_ENTRIES]
        try:
            packs.append(_pack(part))
        except (ValueError, TypeError):
            good, bad = _sorted_out(part)
            reasons += bad
            if good:
                packs.append(_pack(good))
    return packs, reasons


def unpack_exposures(text: str) -> tuple[ExposureEntry, ...]:
    """The exposures of a pack's text."""
    return _decoder.decode(text)


def filter_pack(text: str, keep: Callable[[ExposureEntry], bool]) -> tuple[Pack | None, int]:
    """A pack with only what is to be kept, None when that is nothing, and how many exposures it was without."""
    entries = unpack_exposures(text)
    kept = [entry for entry in entries if keep(entry)]
    return (_pack(kept) if kept else None), len(entries) - len(kept)


def mention_of(user_id: str) -> str:
    """What the text of every pack with something of this person holds somewhere."""
    return '"user_id":' + _encoder.encode(user_id).decode()


def _pack(entries: Sequence[ExposureEntry]) -> Pack:
    times = [entry.created_at for entry in entries]
    oldest = min(times)
    for at in (oldest, max(times), sum(times) / len(times)):  # where one is no number, the mean is none
        check_instant("created_at", at)
    latency_ms = sum([entry.latency_ms for entry in entries])
    if not math.isfinite(latency_ms):
        raise ValueError(f"latency_ms: expected numbers, got {latency_ms}")
    return Pack(len(entries), oldest, _encoder.encode(entries).decode())


def _sorted_out(entries: Sequence[ExposureEntry]) -> tuple[list[ExposureEntry], list[str]]:
    good, reasons = [], []
    for entry in entries:
        try:
            _pack([entry])
        except (ValueError, TypeError) as error:
            reasons.append(str(error))
        else:
            good.append(entry)
    return good, reasons
