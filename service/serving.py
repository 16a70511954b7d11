"""What this process is serving with, and what it has served; one object that handlers share."""

from dataclasses import dataclass, field
from typing import Any

from service.errors import UnavailableError
from service.live.state import LiveState


@dataclass(slots=True)
class Serving:
    """The live state in use, replaced as a whole, and this process's tally of answers.

    A request takes `state` once, at its start, so that a new model never splits it.
    """

    current: LiveState | None = None
    facts: dict[str, Any] = field(default_factory=dict)  #: of the manifest of the model in use
    answers: int = 0
    latency_ms: float = 0.0  #: summed over all answers

    @property
    def state(self) -> LiveState:
        """The live state. Raises UnavailableError while there is no model, or no event to recommend with it."""
        if self.current is None:
            raise UnavailableError("There is no model yet that can serve; /ready says why", retry_after=30)
        return self.current

    def count(self, latency_ms: float) -> None:
        """Add one answer to the tally."""
        self.answers += 1
        self.latency_ms += latency_ms
