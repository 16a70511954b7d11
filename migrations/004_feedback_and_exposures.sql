-- A retried feedback is one effect, an answer's events and positions are kept, a person's data can be found
-- and erased. MySQL has no ADD COLUMN IF NOT EXISTS: each table is altered only when the first of its new
-- columns is missing, and one ALTER TABLE takes place as a whole or not at all.

SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ml_feedback' AND COLUMN_NAME = 'idempotency_key') = 0,
    'ALTER TABLE ml_feedback
        ADD COLUMN idempotency_key   VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
        ADD COLUMN request_hash      CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
        ADD COLUMN recommendation_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
        ADD UNIQUE KEY ml_feedback_idempotency (idempotency_key),
        ADD KEY ml_feedback_user (user_id, created_at),
        ADD KEY ml_feedback_created (created_at)',
    'DO 0');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;

-- The same for model_predictions: one row an answer. event_ids holds the events in the order shown, and
-- recommendation_id is unique so that a batch written twice counts once.
SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'model_predictions' AND COLUMN_NAME = 'recommendation_id') = 0,
    'ALTER TABLE model_predictions
        ADD COLUMN recommendation_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
        ADD COLUMN arm               VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
        ADD COLUMN city              VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
        ADD COLUMN event_ids         JSON NULL,
        ADD COLUMN experiment_id     VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
        ADD COLUMN is_exposure       BOOLEAN NOT NULL DEFAULT FALSE,
        ADD UNIQUE KEY model_predictions_recommendation (recommendation_id),
        ADD KEY model_predictions_user (user_id, created_at),
        ADD KEY model_predictions_created (created_at)',
    'DO 0');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;

-- Who asked to be erased, and when: what happened until then is refused if it turns up again, from a queue or
-- a file, and is left out when a model is trained.
CREATE TABLE IF NOT EXISTS ml_erased_users (
    user_id   VARCHAR(255) NOT NULL PRIMARY KEY,
    erased_at TIMESTAMP NULL DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
