from service.database import PATIENCE, patient
from service.storage.database import DatabaseSettings


def test_whoever_runs_last_gives_the_database_longer_for_everything() -> None:
    usual = DatabaseSettings(host="db")

    settings = patient(usual)

    assert settings.connect_timeout == PATIENCE * usual.connect_timeout
    assert settings.acquire_timeout == PATIENCE * usual.acquire_timeout
    assert settings.read_timeout == PATIENCE * usual.read_timeout
    assert settings.write_timeout == PATIENCE * usual.write_timeout
    assert settings.where == usual.where
