-- The tables that this service owns. AUTOINCREMENT, because an id must never be given twice: what is new is
-- found by its id being greater.

CREATE TABLE IF NOT EXISTS ml_feedback (
    id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    user_id    TEXT NOT NULL,
    event_id   TEXT NOT NULL,
    action     TEXT NOT NULL,
    context    TEXT,
    created_at TEXT DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS model_versions (
    id                 INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    version            TEXT NOT NULL UNIQUE,
    model_type         TEXT NOT NULL,
    training_samples   INTEGER NOT NULL DEFAULT 0,
    validation_metrics TEXT,
    trained_at         TEXT DEFAULT CURRENT_TIMESTAMP,
    deployed_at        TEXT,
    is_active          INTEGER NOT NULL DEFAULT 0,
    created_at         TEXT DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS model_predictions (
    id                  INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    user_id             TEXT,
    model_version       TEXT,
    variant             TEXT,
    num_recommendations INTEGER NOT NULL DEFAULT 0,
    latency_ms          REAL,
    created_at          TEXT DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS recommendation_cache (
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    cache_key       TEXT NOT NULL UNIQUE,
    user_id         TEXT,
    recommendations TEXT,
    model_version   TEXT,
    created_at      TEXT DEFAULT CURRENT_TIMESTAMP,
    expires_at      TEXT
);
