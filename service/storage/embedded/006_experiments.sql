-- See the migration of the same number for what each column is for.

ALTER TABLE model_predictions ADD COLUMN experiments TEXT;

CREATE TABLE ml_experiments (
    experiment_id TEXT NOT NULL,
    version       INTEGER NOT NULL,
    changed_at    TEXT,
    revision      TEXT NOT NULL,
    PRIMARY KEY (experiment_id, version)
) WITHOUT ROWID;

CREATE TABLE ml_experiment_people (
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    experiment_id   TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    variant         TEXT NOT NULL,
    map_version     INTEGER NOT NULL,
    pre_activity    INTEGER NOT NULL DEFAULT 0,
    exposures       INTEGER NOT NULL DEFAULT 0,
    other_exposures INTEGER NOT NULL DEFAULT 0,
    clicks          INTEGER NOT NULL DEFAULT 0,
    saves           INTEGER NOT NULL DEFAULT 0,
    hides           INTEGER NOT NULL DEFAULT 0,
    latency_ms      REAL NOT NULL DEFAULT 0,
    assigned_at     TEXT,
    seen_at         TEXT
);
CREATE UNIQUE INDEX ml_experiment_people_person ON ml_experiment_people (user_id, experiment_id);
CREATE INDEX ml_experiment_people_experiment ON ml_experiment_people (experiment_id, id);

CREATE TABLE ml_experiment_shipments (
    source TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (source, number)
) WITHOUT ROWID;
