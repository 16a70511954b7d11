-- See the migration of the same number for what each column is for.

ALTER TABLE ml_feedback ADD COLUMN idempotency_key TEXT;
ALTER TABLE ml_feedback ADD COLUMN request_hash TEXT;
ALTER TABLE ml_feedback ADD COLUMN recommendation_id TEXT;
CREATE UNIQUE INDEX ml_feedback_idempotency ON ml_feedback (idempotency_key);
CREATE INDEX ml_feedback_user ON ml_feedback (user_id, created_at);
CREATE INDEX ml_feedback_created ON ml_feedback (created_at);

ALTER TABLE model_predictions ADD COLUMN recommendation_id TEXT;
ALTER TABLE model_predictions ADD COLUMN arm TEXT;
ALTER TABLE model_predictions ADD COLUMN city TEXT;
ALTER TABLE model_predictions ADD COLUMN event_ids TEXT;
ALTER TABLE model_predictions ADD COLUMN experiment_id TEXT;
ALTER TABLE model_predictions ADD COLUMN is_exposure INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX model_predictions_recommendation ON model_predictions (recommendation_id);
CREATE INDEX model_predictions_user ON model_predictions (user_id, created_at);
CREATE INDEX model_predictions_created ON model_predictions (created_at);

CREATE TABLE ml_erased_users (
    user_id   TEXT NOT NULL PRIMARY KEY,
    erased_at TEXT
) WITHOUT ROWID;
