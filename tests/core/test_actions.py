import math

import numpy as np
import pytest

from core.actions import PUBLIC_ACTIONS, Action, ActionWeights, action_from_name


def test_every_action_is_found_again_by_its_label() -> None:
    assert [action_from_name(action.label) for action in Action] == list(Action)


def test_labels_are_the_names_that_clients_send() -> None:
    assert {action.label for action in PUBLIC_ACTIONS} == {
        "save",
        "click",
        "hide",
        "skip",
        "thumbs_up",
        "thumbs_down",
    }


def test_codes_never_change_because_logs_hold_them() -> None:
    assert [(action.label, int(action)) for action in Action] == [
        ("save", 0),
        ("thumbs_up", 1),
        ("click", 2),
        ("skip", 3),
        ("unsave", 4),
        ("unhide", 5),
        ("hide", 6),
        ("thumbs_down", 7),
    ]


@pytest.mark.parametrize("name", ["", "SAVE", "share", "save "])
def test_an_unknown_name_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^action: {name!r} is unknown, expected one of save, thumbs_up, "):
        action_from_name(name)


@pytest.mark.parametrize("field", ["save", "thumbs_up", "click", "skip"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.5, 1.5])
def test_a_weight_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        ActionWeights(**{field: value})


@pytest.mark.parametrize("setting", [{"click": -0.1}, {"skip": 0.1}])
def test_a_weight_of_the_wrong_sign_is_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(setting))}: "):
        ActionWeights(**setting)


def test_an_unknown_weight_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="share"):
        ActionWeights(share=0.5)


def test_weights_by_action_stand_at_their_codes() -> None:
    weights = ActionWeights(save=0.9, thumbs_up=0.8, click=0.2, skip=-0.3).by_action()
    np.testing.assert_array_equal(weights, [0.9, 0.8, 0.2, -0.3, 0, 0, 0, 0])
    assert weights.dtype == np.float64
