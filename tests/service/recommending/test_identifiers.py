from service.recommending.identifiers import RecommendationIds


def test_an_id_is_32_hexadecimal_digits_and_never_the_same():
    make = RecommendationIds()
    ids = {make.new(1_800_000_000.0) for _ in range(1_000)}

    assert len(ids) == 1_000
    assert all(len(id_) == 32 and set(id_) <= set("0123456789abcdef") for id_ in ids)


def test_ids_are_ordered_by_time_to_the_millisecond():
    moments = [0.0, 1.0, 1_799_999_999.999, 1_800_000_000.0, 1_800_000_000.001]

    make = RecommendationIds()
    ids = [make.new(moment) for moment in moments]

    assert ids == sorted(ids)
    assert int(ids[-1][:12], 16) == 1_800_000_000_001
