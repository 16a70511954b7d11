from pathlib import Path

from service.process import prepare_environment


def test_kernels_are_kept_under_the_home_and_blas_stays_single(tmp_path):
    environment = {"PATH": "/bin"}

    prepare_environment(environment, tmp_path)

    kept = Path(environment.pop("NUMBA_CACHE_DIR"))
    assert kept.parent == tmp_path / "cache"
    assert environment == {"PATH": "/bin", "OPENBLAS_NUM_THREADS": "1"}


def test_what_is_set_already_stays():
    environment = {"NUMBA_CACHE_DIR": "/srv/kernels", "OPENBLAS_NUM_THREADS": "2"}

    prepare_environment(environment, Path("home"))

    assert environment == {"NUMBA_CACHE_DIR": "/srv/kernels", "OPENBLAS_NUM_THREADS": "2"}
