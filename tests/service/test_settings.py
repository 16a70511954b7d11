from pathlib import Path

import pytest

from service.settings import Settings, SettingsError


def test_an_empty_environment_gives_the_documented_defaults():
    settings = Settings.from_environment({})

    assert settings.service_host == "0.0.0.0"  # noqa: S104
    assert settings.service_port == 4004
    assert settings.craic_home == Path.cwd().resolve() / ".craic"
    assert settings.default_recommendation_count == 20
    assert settings.max_recommendation_count == 100
    assert settings.default_variant == "collaborative_filtering"
    assert settings.default_experiment_id == "rec_algorithm_v1"
    assert settings.db_port == 3306
    assert settings.db_name == "gigsdb"
    assert settings.jwt_leeway_seconds == 30
    assert settings.prediction_retention_days == 90
    assert settings.queue_max_megabytes == 64
    assert settings.max_body_bytes == 65_536
    assert settings.poll_seconds == 2.0
    assert settings.jwt_secret is None
    assert settings.api_key is None


def test_the_embedded_database_is_used_until_a_database_host_is_named(tmp_path):
    embedded = Settings.from_environment({"CRAIC_HOME": str(tmp_path)})
    site = Settings.from_environment({"DB_HOST": "db", "DB_USER": "app", "DB_PASSWORD": "secret"})

    assert not embedded.uses_mysql
    assert embedded.sqlite_file == tmp_path / "craic.db"
    assert site.uses_mysql
    assert (site.db_host, site.db_user, site.db_password) == ("db", "app", "secret")


def test_a_relative_home_becomes_absolute_and_holds_the_models(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    settings = Settings.from_environment({"CRAIC_HOME": "state"})

    assert settings.craic_home == tmp_path.resolve() / "state"
    assert settings.models_directory == tmp_path.resolve() / "state" / "models"


def test_a_model_directory_of_its_own_is_used_as_it_is(tmp_path):
    settings = Settings.from_environment({"MODEL_DIR": str(tmp_path / "elsewhere")})

    assert settings.models_directory == (tmp_path / "elsewhere").resolve()


def test_an_empty_variable_counts_as_not_set():
    settings = Settings.from_environment({"SERVICE_PORT": "", "JWT_SECRET": " ", "DB_HOST": ""})

    assert settings.service_port == 4004
    assert settings.jwt_secret is None
    assert not settings.uses_mysql


def test_numbers_may_stand_between_spaces_but_a_secret_is_taken_byte_for_byte():
    settings = Settings.from_environment({"SERVICE_PORT": " 8080 ", "JWT_SECRET": " padded secret\n"})

    assert settings.service_port == 8080
    assert settings.jwt_secret == " padded secret\n"


def test_origins_are_split_at_commas():
    settings = Settings.from_environment({"CORS_ORIGINS": "https://craic.example/, http://localhost:3000,"})

    assert settings.cors_origins == ("https://craic.example", "http://localhost:3000")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("SERVICE_PORT", "http", "a whole number from 1 to 65535"),
        ("SERVICE_PORT", "0", "a whole number from 1 to 65535"),
        ("SERVICE_PORT", "70000", "a whole number from 1 to 65535"),
        ("SERVICE_PORT", "4004.5", "a whole number from 1 to 65535"),
        ("SERVICE_PORT", "4_004", "a whole number from 1 to 65535"),
        ("SERVICE_PORT", "9" * 5000, "a whole number from 1 to 65535"),
        ("POLL_SECONDS", "0", "a number from 0.05 to 3600"),
        ("POLL_SECONDS", "nan", "a number from 0.05 to 3600"),
        ("POLL_SECONDS", "soon", "a number from 0.05 to 3600"),
        ("DEFAULT_VARIANT", "two words", "a name"),
        ("CORS_ORIGINS", "craic.example", "origins such as"),
        ("CORS_ORIGINS", "https://craic.example/path", "origins such as"),
        ("CORS_ORIGINS", "https://[::1", "origins such as"),
        ("MODEL_DIR", __file__, "a directory"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_is_expected(variable, value, expected):
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({variable: value})

    message = str(caught.value)
    assert message.startswith(f"{variable}: expected ")
    assert expected in message
    assert repr(value) in message


def test_more_recommendations_by_default_than_at_most_is_refused():
    with pytest.raises(SettingsError, match=r"DEFAULT_RECOMMENDATION_COUNT: 50 .* MAX_RECOMMENDATION_COUNT"):
        Settings.from_environment({"DEFAULT_RECOMMENDATION_COUNT": "50", "MAX_RECOMMENDATION_COUNT": "40"})


def test_a_database_host_without_a_user_is_refused():
    with pytest.raises(SettingsError, match="DB_USER: needed because DB_HOST is set"):
        Settings.from_environment({"DB_HOST": "db"})


def test_an_unknown_setting_of_this_service_is_refused_with_the_nearest_known_one():
    with pytest.raises(SettingsError, match="CRAIC_HOEM: no such setting; the nearest is CRAIC_HOME"):
        Settings.from_environment({"CRAIC_HOEM": "/tmp"})  # noqa: S108


def test_variables_of_later_or_other_services_are_left_alone():
    settings = Settings.from_environment(
        {
            "MODEL_VERSION": "v1.0.0",
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "",
            "REDIS_PORT": "not a port",
            "ENVIRONMENT": "production",
            "PATH": "/usr/bin",
        }
    )

    assert settings == Settings.from_environment({})


def test_secrets_appear_in_no_representation():
    settings = Settings.from_environment(
        {"JWT_SECRET": "hush-one", "API_KEY": "hush-two", "DB_PASSWORD": "hush-three"}
    )

    assert "hush" not in repr(settings) + str(settings)
    assert settings.api_key == "hush-two"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, False),
        ({"AWS_REGION": "eu-west-1"}, False),
        ({"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"}, True),
        ({"AWS_ACCESS_KEY_ID": "AKIA", "USE_LOCAL_DYNAMODB": "true"}, False),
        ({"USE_LOCAL_DYNAMODB": "false"}, True),
    ],
)
def test_experiments_are_in_dynamodb_where_aws_is_configured(env, expected):
    assert Settings.from_environment(env).uses_dynamodb is expected


@pytest.mark.parametrize(
    ("variable", "expected"),
    [("USE_LOCAL_DYNAMODB", "true or false"), ("DEFAULT_EXPERIMENT_STATUS", "draft or running")],
)
def test_a_choice_that_is_none_is_refused_with_what_may_be_chosen(variable, expected):
    with pytest.raises(SettingsError, match=f"{variable}: expected {expected}, got 'maybe'"):
        Settings.from_environment({variable: "maybe"})
