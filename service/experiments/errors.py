"""What a call about experiments can fail with. Messages are fit for callers."""


class DefinitionError(ValueError):
    """A definition that does not fit; the message names the field."""


class UnknownExperimentError(LookupError):
    """There is no experiment of that name."""

    def __init__(self, experiment_id: str) -> None:
        super().__init__(f"There is no experiment {experiment_id!r}")


class TransitionError(Exception):
    """It cannot be done in the state that the experiment, or another in its layer, is in."""


class ChangedMeanwhileError(TransitionError):
    """Somebody else changed the experiment between the reading and the writing."""

    def __init__(self, experiment_id: str) -> None:
        super().__init__(
            f"{experiment_id} was changed by somebody else at the same moment; look, and try again"
        )
