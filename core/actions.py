"""What people do to events, and how much each action says about their taste."""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Action(IntEnum):
    """An action by its code in an interaction log.

    The order carries meaning: of two actions at the same instant the one with the greater code is applied
    later, so a hide wins over a simultaneous save, and a thumb down over everything.
    """

    SAVE = 0
    THUMBS_UP = 1
    CLICK = 2
    SKIP = 3
    UNSAVE = 4
    UNHIDE = 5
    HIDE = 6
    THUMBS_DOWN = 7

    @property
    def label(self) -> str:
        """The action's name in requests, files and tables: "thumbs_up"."""
        return self.name.lower()


#: What a client may send. `UNSAVE` and `UNHIDE` are recorded when a row of the site's saved or hidden tables
#: disappears.
PUBLIC_ACTIONS = (
    Action.SAVE,
    Action.CLICK,
    Action.HIDE,
    Action.SKIP,
    Action.THUMBS_UP,
    Action.THUMBS_DOWN,
)

_BY_LABEL = {action.label: action for action in Action}


def action_from_name(name: str) -> Action:
    """The action called `name`; ValueError naming it when there is none."""
    try:
        return _BY_LABEL[name]
    except KeyError:
        raise ValueError(f"action: {name!r} is unknown, expected one of {', '.join(_BY_LABEL)}") from None


@dataclass(frozen=True)
class ActionWeights:
    """How far one action moves a preference, which lies in 0..1.

    Save, thumb up and click are in 0..1, skip in −1..0; ValueError names the field that is not.
    """

    save: float = 1.0
    thumbs_up: float = 1.0
    click: float = 0.3
    skip: float = -0.1

    def __post_init__(self) -> None:
        for name in ("save", "thumbs_up", "click"):
            _check_range(name, getattr(self, name), 0.0, 1.0)
        _check_range("skip", self.skip, -1.0, 0.0)

    def by_action(self) -> NDArray[np.float64]:
        """float64[8]: the weight at each action's code; 0 for those that set a preference outright."""
        weights = np.zeros(len(Action))
        weights[[Action.SAVE, Action.THUMBS_UP, Action.CLICK, Action.SKIP]] = (
            self.save,
            self.thumbs_up,
            self.click,
            self.skip,
        )
        return weights


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if math.isnan(value) or not low <= value <= high:
        raise ValueError(f"{name}: {value} is outside {low}..{high}")
