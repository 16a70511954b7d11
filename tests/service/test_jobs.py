"""Jobs that one process runs and another is asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.jobs import REMEMBERED, Job, JobFiles


def test_others_find_a_job_while_it_lasts_and_what_became_of_it(tmp_path):
    job = Job("0123456789abcdef")
    files, others = JobFiles(tmp_path / "jobs"), JobFiles(tmp_path / "jobs")

    with files.lasting(job):
        during = others.read(job.job_id)
        job.status, job.report = "success", {"model_version": "20270115T080000Z"}

    assert during == Job(job.job_id)
    assert others.read(job.job_id) == job


def test_a_job_whose_process_was_killed_has_failed(tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
from service.jobs import Job, JobFiles
JobFiles(Path(sys.argv[1])).lasting(Job("0123456789abcdef")).__enter__()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program, tmp_path], check=False, timeout=60)

    job = JobFiles(tmp_path).read("0123456789abcdef")

    assert job is not None
    assert (job.status, job.reason) == ("failed", "the service that had started it ended")


def test_only_the_last_jobs_are_remembered(tmp_path):
    files = JobFiles(tmp_path)
    ids = [f"{number:016x}" for number in range(REMEMBERED + 3)]
    for job_id in ids:
        with files.lasting(Job(job_id)):
            pass

    assert [job_id for job_id in ids if files.read(job_id) is not None] == ids[3:]


@pytest.mark.parametrize("job_id", ["0123456789abcdef", "../../etc/passwd", "", "x" * 16])
def test_a_job_nobody_knows_is_none(tmp_path, job_id):
    assert JobFiles(tmp_path).read(job_id) is None


def test_a_file_that_holds_nonsense_is_no_job(tmp_path, caplog):
    (tmp_path / "0123456789abcdef.json").write_text("nonsense")

    assert JobFiles(tmp_path).read("0123456789abcdef") is None
    assert "0123456789abcdef" in caplog.text


def test_a_disk_that_fails_ends_no_job(tmp_path, caplog):
    in_the_way = tmp_path / "jobs"
    in_the_way.write_text("a file where the directory should be")

    with JobFiles(in_the_way).lasting(Job("0123456789abcdef")):
        pass

    assert "0123456789abcdef" in caplog.text
    assert Path(in_the_way).read_text() == "a file where the directory should be"
