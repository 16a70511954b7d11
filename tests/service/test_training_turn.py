import os

import pytest

from service.training_turn import TrainingBusyError, training_process, training_turn


def test_who_looks_is_told_which_process_trains(tmp_path):
    models = tmp_path / "models"
    assert training_process(models) is None
    with training_turn(models):
        assert training_process(models) == str(os.getpid())
    assert training_process(models) is None


def test_of_two_trainings_the_second_is_refused_and_the_first_named(tmp_path):
    with (
        training_turn(tmp_path),
        pytest.raises(TrainingBusyError, match=f"another training is under way, process {os.getpid()}"),
        training_turn(tmp_path),
    ):
        pass


def test_a_training_does_not_give_way_to_who_only_looks(tmp_path, monkeypatch):
    attempts = []

    def held_at_first(lock):
        attempts.append(lock)
        return len(attempts) > 1

    monkeypatch.setattr("service.training_turn.FileLock.try_acquire", held_at_first)
    with training_turn(tmp_path):
        assert len(attempts) == 2
