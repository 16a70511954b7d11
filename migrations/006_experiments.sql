-- Experiments. model_predictions.experiments says which experiments an answer counts in, each as
-- [experiment, variant, version of its map].

SET @change = IF(
    (SELECT COUNT(*) FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'model_predictions' AND COLUMN_NAME = 'experiments') = 0,
    'ALTER TABLE model_predictions ADD COLUMN experiments JSON NULL',
    'DO 0');
PREPARE change_table FROM @change;
EXECUTE change_table;
DEALLOCATE PREPARE change_table;

-- Every version of every experiment, as JSON; a version is taken once, by whoever comes first.
CREATE TABLE IF NOT EXISTS ml_experiments (
    experiment_id VARCHAR(50) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version       INT NOT NULL,
    changed_at    TIMESTAMP NULL DEFAULT NULL,
    revision      MEDIUMTEXT NOT NULL,
    PRIMARY KEY (experiment_id, version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What each person was shown and did in each experiment. `variant` is the first that they were assigned and does not
-- change; other_exposures counts answers by another one.
CREATE TABLE IF NOT EXISTS ml_experiment_people (
    id              BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    experiment_id   VARCHAR(50) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id         VARCHAR(255) NOT NULL,
    variant         VARCHAR(50) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    map_version     INT NOT NULL,
    pre_activity    INT NOT NULL DEFAULT 0,
    exposures       BIGINT NOT NULL DEFAULT 0,
    other_exposures BIGINT NOT NULL DEFAULT 0,
    clicks          BIGINT NOT NULL DEFAULT 0,
    saves           BIGINT NOT NULL DEFAULT 0,
    hides           BIGINT NOT NULL DEFAULT 0,
    latency_ms      DOUBLE NOT NULL DEFAULT 0,
    assigned_at     TIMESTAMP NULL DEFAULT NULL,
    seen_at         TIMESTAMP NULL DEFAULT NULL,
    UNIQUE KEY ml_experiment_people_person (user_id, experiment_id),
    KEY ml_experiment_people_experiment (experiment_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The last shipment of counts that each queue has had taken in, so that one that is sent again counts once.
CREATE TABLE IF NOT EXISTS ml_experiment_shipments (
    source VARCHAR(50) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (source, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
