-- How many of a person's requests in an experiment failed, so that a variant that breaks is seen to.

SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ml_experiment_people' AND COLUMN_NAME = 'errors') = 0,
    'ALTER TABLE ml_experiment_people ADD COLUMN errors BIGINT NOT NULL DEFAULT 0',
    'DO 0');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;
