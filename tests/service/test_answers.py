from service import answers

DOCUMENTED = {"event_id", "score", "confidence", "reason", "metadata"}
READ_BY_THE_WEB_CLIENT = {
    *("event_id", "id", "title", "event_name", "start_time", "date", "end_time", "venue_name", "city"),
    *("ticket_url", "images", "genre", "genres", "price", "rank_score", "score", "rank_reasons", "algorithm"),
}


def test_a_recommendation_has_every_field_that_is_documented_or_read():
    fields = set(answers.Recommendation.__struct_fields__)

    assert fields >= DOCUMENTED | READ_BY_THE_WEB_CLIENT
    assert fields - DOCUMENTED - READ_BY_THE_WEB_CLIENT == {"because", "because_other", "neighbours"}


def test_the_metadata_of_a_recommendation_are_the_documented_four():
    assert set(answers.EventMetadata.__struct_fields__) == {"event_name", "venue", "date", "genre"}


def test_the_answer_to_a_recommendation_request_has_every_documented_field():
    documented = {"user_id", "recommendations", "model_version", "ab_experiment", "latency_ms"}

    assert set(answers.RecommendationAnswer.__struct_fields__) >= documented


def test_the_other_answers_have_every_documented_field():
    assert set(answers.FeedbackAnswer.__struct_fields__) == {"status", "message"}
    assert set(answers.HealthAnswer.__struct_fields__) == {
        *("status", "service", "model_version", "model_loaded", "timestamp")
    }
    assert set(answers.ModelInfoAnswer.__struct_fields__) >= {
        *("model_version", "last_trained", "training_samples", "validation_metrics"),
        *("prediction_count", "avg_latency_ms"),
    }
