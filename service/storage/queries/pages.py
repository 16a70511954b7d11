"""Large tables read and emptied a page at a time.

No statement lasts long, and memory holds one page. A cursor that the server keeps open would do neither:
asyncmy goes on receiving while the reader is busy, so a slow reader ends up holding the whole result.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from service.storage.database import Row, Session
from service.storage.dialect import Statement

#: Rows of a page: about 4 MB while it is decoded.
PAGE_ROWS = 20_000

#: Rows deleted by one statement, so that nobody waits long for their locks.
DELETE_ROWS = 500


async def read_pages(
    session: Session,
    statement: Statement,
    first: Sequence[Any],
    following: Callable[[Row], Sequence[Any]],
    page_rows: int = PAGE_ROWS,
) -> AsyncIterator[list[Row]]:
    """The rows of `statement`, page by page, none empty.

    The statement's last parameter is the page's size. `first` are the parameters before it for the first
    page, and `following` gives them for the page after the one that ends in a row.
    """
    params = first
    while rows := await session.fetch(statement, (*params, page_rows)):
        yield rows
        if len(rows) < page_rows:
            return
        params = following(rows[-1])


async def delete_in_slices(
    session: Session, select_ids: Statement, delete_ids: Statement, params: Sequence[Any]
) -> int:
    """Delete the rows whose ids `select_ids` finds, `DELETE_ROWS` at a time; returns how many there were.

    The last parameter of `select_ids` is how many to find; `delete_ids` takes the `{list}` of them.
    """
    deleted = 0
    while ids := [row[0] for row in await session.fetch(select_ids, (*params, DELETE_ROWS))]:
        deleted += await session.execute(delete_ids.with_list(len(ids)), ids)
        if len(ids) < DELETE_ROWS:
            break
    return deleted
