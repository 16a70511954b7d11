from service.experiments.increments import Increment, summed


def increment(**values: object) -> Increment:
    return Increment("exp", "1", "hybrid", 1, 5.0, 5.0, **values)  # type: ignore[arg-type]


def test_increments_of_a_person_add_up():
    one = increment(pre_activity=3, shown={"hybrid": 1}, clicks=1, latency_ms=1.5)
    other = increment(pre_activity=4, shown={"hybrid": 1, "control": 1}, saves=2, hides=3, errors=1)
    [total] = summed([one, other])
    assert total == increment(
        pre_activity=3,
        shown={"hybrid": 2, "control": 1},
        clicks=1,
        saves=2,
        hides=3,
        errors=1,
        latency_ms=1.5,
    )


def test_what_a_person_liked_before_is_known_from_the_first_answer_not_from_a_failure_before_it():
    failed, answered = increment(errors=1), increment(pre_activity=3, shown={"hybrid": 1})
    assert failed.plus(answered).pre_activity == 3
    assert answered.plus(increment(pre_activity=9, shown={"hybrid": 1})).pre_activity == 3
