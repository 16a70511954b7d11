import gzip
from pathlib import Path

import pytest

from service.importing.errors import ImportFileError
from service.importing.reading import LONGEST_LINE_BYTES, Columns, NumberedRow, RowFile

COLUMNS = Columns(required=("id", "title"), optional=("city",))


def rows_of(path: Path, content: str | bytes) -> list[NumberedRow]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [(line, tuple(values)) for line, values in RowFile(path, COLUMNS).rows()]


def refusal(path: Path, content: str | bytes) -> ImportFileError:
    with pytest.raises(ImportFileError) as caught:
        rows_of(path, content)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return tmp_path / "events.csv"


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_values_come_in_one_order_whatever_the_files(csv: Path) -> None:
    assert rows_of(csv, "city,title,id\nCork,Gig,1\n") == [(2, ("1", "Gig", "Cork"))]


def test_an_absent_column_is_told_from_an_empty_value(csv: Path) -> None:
    assert rows_of(csv, "id,title\n1,\n") == [(2, ("1", "", None))]


def test_a_row_that_spans_lines_has_the_number_of_its_first(csv: Path) -> None:
    content = 'id,title\n1,"two\nlines"\n\n2,"three\n\nlines"\n3,one\n'

    assert [(line, values[1]) for line, values in rows_of(csv, content)] == [
        (2, "two\nlines"),
        (5, "three\n\nlines"),
        (8, "one"),
    ]


@pytest.mark.parametrize("content", ["id,title\r\n1,Gig\r\n", "id,title\n1,Gig", "\ufeffid,title\n1,Gig\n"])
def test_line_ends_and_a_byte_order_mark_do_not_matter(csv: Path, content: str) -> None:
    assert rows_of(csv, content) == [(2, ("1", "Gig", None))]


def test_blank_lines_are_no_rows(csv: Path) -> None:
    assert rows_of(csv, "\nid,title\n\n1,Gig\n\n") == [(4, ("1", "Gig", None))]


def test_a_header_alone_is_a_file_without_rows(csv: Path) -> None:
    assert rows_of(csv, "id,title\n") == []


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("", 1, "no column 'id'"),
        ("id,city\n", 1, "no column 'title'"),
        ("id,title,town\n", 1, "'town' is unknown, expected id, title, city"),
        ("id,title,id\n", 1, "'id' is there twice"),
        ("id,title\n1,Gig\n2,Gig,Cork\n", 3, "has 3 values where the header has 2"),
        ('id,title\n"1\n",Gig\n3\n', 4, "has 1 values where the header has 2"),
        ('id,title\n1,Gig\n2,"never\nclosed\n', 3, "is not CSV"),
        ('id,title\n1,"a"b\n', 2, "is not CSV"),
    ],
)
def test_a_bad_table_is_named_by_file_and_line(csv: Path, content: str, line: int, reason: str) -> None:
    error = refusal(csv, content)

    assert error.line == line
    assert reason in error.reason


@pytest.mark.parametrize("name", ["events.csv", "events.jsonl"])
def test_bytes_that_are_not_utf8_are_named_by_line_and_shown(tmp_path: Path, name: str) -> None:
    content = b"id,title\n1,Caf\xe9 Gig\n" if name.endswith("csv") else b'{"id": 1}\n{"id": "Caf\xe9"}\n'

    error = refusal(tmp_path / name, content)

    assert (error.line, error.reason) == (2, "is not UTF-8")
    assert "Caf\\xe9" in str(error.value)


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(csv: Path) -> None:
    error = refusal(csv, b"id,title\n1," + b"x" * LONGEST_LINE_BYTES)

    assert error.line == 2
    assert "longer than" in error.reason


def test_json_values_come_as_a_csv_file_would_spell_them(jsonl: Path) -> None:
    content = (
        '{"title": "Gig", "id": 7, "city": null}\n\n{"id": "a", "title": 2.5}\n{"id": "b", "title": ["x", 1]}'
    )

    assert rows_of(jsonl, content) == [
        (1, ("7", "Gig", "")),
        (3, ("a", "2.5", None)),
        (4, ("b", '["x",1]', None)),
    ]


@pytest.mark.parametrize(
    ("content", "line", "column", "reason"),
    [
        ('{"id": 1}\n{"id": \n', 2, None, "is not JSON"),
        ("[1, 2]\n", 1, None, "is no JSON object"),
        ('{"id": 1, "town": "Cork"}\n', 1, None, "'town' is unknown, expected id, title, city"),
        ('{"id": true}\n', 1, "id", "is no text, number or list"),
        ('\n{"id": {"a": 1}}\n', 2, "id", "is no text, number or list"),
    ],
)
def test_a_bad_object_is_named_by_file_and_line(
    jsonl: Path, content: str, line: int, column: str | None, reason: str
) -> None:
    error = refusal(jsonl, content)

    assert (error.line, error.column) == (line, column)
    assert reason in error.reason


@pytest.mark.parametrize("name", ["events.ndjson", "events.jsonl.gz", "events.ndjson.gz"])
def test_json_lines_go_by_several_names(tmp_path: Path, name: str) -> None:
    content = b'{"id": 1, "title": "Gig"}\n'

    rows = rows_of(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)

    assert rows == [(1, ("1", "Gig", None))]


def test_a_compressed_file_reads_as_its_content(tmp_path: Path) -> None:
    content = gzip.compress("\ufeffid,title\n1,Gig\n".encode())

    assert rows_of(tmp_path / "events.csv.gz", content) == [(2, ("1", "Gig", None))]


@pytest.mark.parametrize("keep", [4, 40, -8, -1])
def test_a_compressed_file_that_was_cut_is_refused(tmp_path: Path, keep: int) -> None:
    content = gzip.compress("".join(["id,title\n", *(f"{n},Gig {n * n}\n" for n in range(500))]).encode())

    assert "is not whole gzip data" in refusal(tmp_path / "events.csv.gz", content[:keep]).reason


def test_a_compressed_file_that_is_not_compressed_is_refused(tmp_path: Path) -> None:
    assert "is not whole gzip data" in refusal(tmp_path / "events.csv.gz", "id,title\n").reason


@pytest.mark.parametrize("name", ["events.xlsx", "events", "events.gz", "events.csv.zip"])
def test_another_kind_of_file_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImportFileError, match=r"\.csv, \.jsonl or \.ndjson"):
        RowFile(tmp_path / name, COLUMNS)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = RowFile(tmp_path / "missing.csv", COLUMNS)

    with pytest.raises(ImportFileError, match=r"missing\.csv: No such file"):
        list(missing.rows())


def test_a_long_value_is_cut_where_it_is_shown(jsonl: Path) -> None:
    error = refusal(jsonl, '{"id": {"a": "' + "x" * 1000 + '"}}\n')

    assert len(str(error)) < len(str(jsonl)) + 200


def test_how_far_a_file_was_read_is_known(csv: Path) -> None:
    csv.write_text("id,title\n" + "".join(f"{number},Gig\n" for number in range(5_000)))
    file = RowFile(csv, COLUMNS)
    assert file.read_bytes == 0

    list(file.rows())

    assert 0 < file.read_bytes <= csv.stat().st_size
