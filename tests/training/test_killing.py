import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_training_that_is_killed_at_any_step_of_publishing_leaves_the_old_model_or_the_new_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.killing", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    # The old model up to one step, the rename of the pointer, and the new one from there on.
    assert re.fullmatch(r"o{50,}n{5,}\n", done.stdout)
