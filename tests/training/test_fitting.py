import numpy as np

from core.model import ModelSettings
from tests.sites import NOW
from tests.training.planted import planted_rows, planted_snapshot
from training.fitting import fit_model


def fitted(seed: int = 1):
    snapshot = planted_snapshot(seed=seed)
    return fit_model(
        "20270115T080000Z",
        snapshot.users,
        snapshot.events,
        snapshot.log,
        snapshot.event_city,
        snapshot.event_created,
        ModelSettings(),
        snapshot.cutoff,
    )


def test_the_same_rows_give_the_same_arrays_bit_for_bit():
    first, second = fitted()[0].arrays(), fitted()[0].arrays()

    assert first.keys() == second.keys()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_other_rows_give_another_model():
    assert fitted()[0].popularity.tobytes() != fitted(seed=2)[0].popularity.tobytes()


def test_all_parts_are_of_the_same_people_and_events():
    model, report = fitted()

    assert model.preferences.liked.n_rows == model.neighbourhood.user_masses.size == len(model.users) == 60
    assert model.neighbourhood.savers.n_rows == model.popularity.size == len(model.events) == 30
    assert report.rows == report.kept == len(planted_rows())
    assert (report.liked, report.dismissed) == (60 * 6, 60)


def test_rows_after_the_cut_off_teach_nothing():
    snapshot = planted_snapshot()
    half = float(np.median(snapshot.log.times))

    model, report = fit_model(
        "early",
        snapshot.users,
        snapshot.events,
        snapshot.log,
        snapshot.event_city,
        snapshot.event_created,
        ModelSettings(),
        half,
    )

    assert report.after_cutoff == int((snapshot.log.times > half).sum()) > 0
    assert model.preferences.liked.indices.size == report.liked < 60 * 6
    assert half < NOW
