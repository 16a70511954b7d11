"""What both peers have in common: the site's database, who gets which arm, how they are started."""

import argparse
import os
import zlib
from typing import Any

import pymysql
import pymysql.cursors
import uvicorn
from fastapi import FastAPI

from bench.load import HOST

#: The contract's four arms, in equal parts.
ARMS = ("control", "collaborative_filtering", "content_based", "hybrid")
DEFAULT_LIMIT = 20
#: As ours has it by default.
NEIGHBOURS = 200


def connect() -> "pymysql.Connection[Any]":
    """A connection to the database that the DB_… variables name."""
    return pymysql.connect(
        host=os.environ["DB_HOST"],
        port=int(os.environ["DB_PORT"]),
        user=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        database=os.environ["DB_NAME"],
        autocommit=True,
        cursorclass=pymysql.cursors.DictCursor,
    )


def arm_of(user_id: str) -> str:
    """The same arm for the same person, always."""
    return ARMS[zlib.crc32(user_id.encode()) % len(ARMS)]


def serve(app: FastAPI) -> None:
    """Serve until SIGTERM: one worker, uvloop and httptools, nothing logged."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(
        app,
        host=HOST,
        port=parser.parse_args().port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
