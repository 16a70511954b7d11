-- See the migration of the same number for what the column is for.

ALTER TABLE ml_experiment_people ADD COLUMN errors INTEGER NOT NULL DEFAULT 0;
