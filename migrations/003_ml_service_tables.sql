-- The tables that the recommendation service owns. Harmless when they are there already.
-- Ids are compared byte by byte: "ann" and "Ann" are two people.

CREATE TABLE IF NOT EXISTS ml_feedback (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id    VARCHAR(255) NOT NULL,
    event_id   VARCHAR(255) NOT NULL,
    action     VARCHAR(50) NOT NULL,
    context    TEXT NULL,
    created_at TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS model_versions (
    id                 INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    version            VARCHAR(50) NOT NULL,
    model_type         VARCHAR(100) NOT NULL,
    training_samples   INT NOT NULL DEFAULT 0,
    validation_metrics JSON NULL,
    trained_at         TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP,
    deployed_at        TIMESTAMP NULL DEFAULT NULL,
    is_active          BOOLEAN NOT NULL DEFAULT FALSE,
    created_at         TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE KEY model_versions_version (version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS model_predictions (
    id                  BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id             VARCHAR(255) NULL,
    model_version       VARCHAR(50) NULL,
    variant             VARCHAR(100) NULL,
    num_recommendations INT NOT NULL DEFAULT 0,
    latency_ms          FLOAT NULL,
    created_at          TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS recommendation_cache (
    id              BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    cache_key       VARCHAR(255) NOT NULL,
    user_id         VARCHAR(255) NULL,
    recommendations JSON NULL,
    model_version   VARCHAR(50) NULL,
    created_at      TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at      TIMESTAMP NULL DEFAULT NULL,
    UNIQUE KEY recommendation_cache_key (cache_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
