import pytest

from service.storage.dialect import MYSQL, SQLITE, Dialect, Statement

ENGINES = pytest.mark.parametrize("dialect", [MYSQL, SQLITE], ids=lambda dialect: dialect.name)


def test_each_engine_gets_its_own_spelling_of_a_token() -> None:
    statement = Statement("SELECT {epoch:saved_at} FROM t WHERE id = ?")

    assert (
        MYSQL.render(statement) == "SELECT TIMESTAMPDIFF(SECOND, '1970-01-01', saved_at) FROM t WHERE id = %s"
    )
    assert SQLITE.render(statement) == (
        "SELECT CAST(strftime('%s', saved_at) AS INTEGER) FROM t WHERE id = ?"
    )


def test_a_percent_sign_is_not_taken_for_a_parameter() -> None:
    assert MYSQL.render(Statement("SELECT 7 % 2, ?")) == "SELECT 7 %% 2, %s"


def test_a_token_with_several_columns_keeps_them_all() -> None:
    assert MYSQL.render(Statement("{checksum:a, b}")) == "CRC32(CONCAT_WS(',', a, b))"


@ENGINES
def test_a_token_that_nobody_knows_is_an_error_that_names_it(dialect: Dialect) -> None:
    with pytest.raises(ValueError, match=r"\{when:x\}"):
        dialect.render(Statement("SELECT {when:x}"))


@ENGINES
def test_every_engine_knows_the_same_tokens(dialect: Dialect) -> None:
    assert dialect.tokens.keys() == SQLITE.tokens.keys()


def test_a_list_takes_as_many_parameters_as_it_has_values() -> None:
    statement = Statement("SELECT 1 WHERE x IN ({list}) AND y = ?").with_list(3)

    assert SQLITE.render(statement) == "SELECT 1 WHERE x IN (?, ?, ?) AND y = ?"


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Statement("SELECT 1 WHERE x IN ({list})").with_list(0)


def test_names_are_filled_in_before_tokens_are() -> None:
    statement = Statement("SELECT {epoch:{time}} FROM {table}").with_names(table="t", time="at")

    assert statement == Statement("SELECT {epoch:at} FROM t")
