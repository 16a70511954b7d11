-- What other services own on the site, so that the embedded database answers the same queries. Ids are TEXT
-- and kept as they came: an imported site may call its events "gig-42" or "007". Times are TEXT in UTC, to
-- the second, which sorts as time does. JSON is TEXT.

CREATE TABLE IF NOT EXISTS users (
    id            TEXT NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL,
    email         TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role          TEXT DEFAULT 'user',
    created_at    TEXT DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS events (
    id              TEXT NOT NULL PRIMARY KEY,
    dedupe_key      TEXT NOT NULL UNIQUE,
    title           TEXT NOT NULL,
    description     TEXT,
    start_time      TEXT NOT NULL,
    end_time        TEXT,
    city            TEXT,
    latitude        REAL,
    longitude       REAL,
    venue_name      TEXT,
    ticket_url      TEXT,
    age_restriction TEXT,
    price_min       REAL,
    price_max       REAL,
    currency        TEXT,
    genres          TEXT,
    tags            TEXT,
    images          TEXT,
    created_at      TEXT DEFAULT CURRENT_TIMESTAMP,
    updated_at      TEXT DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS events_city_start ON events (city, start_time);

CREATE TABLE IF NOT EXISTS user_saved_events (
    user_id  TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    event_id TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    saved_at TEXT DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (user_id, event_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS user_saved_events_event_idx ON user_saved_events (event_id);

CREATE TABLE IF NOT EXISTS user_hidden_events (
    user_id   TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    event_id  TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    hidden_at TEXT DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (user_id, event_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS user_hidden_events_event_idx ON user_hidden_events (event_id);

CREATE TABLE IF NOT EXISTS user_preferences (
    user_id           TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    preferred_genres  TEXT,
    preferred_artists TEXT,
    preferred_cities  TEXT,
    preferred_venues  TEXT,
    preferred_djs     TEXT,
    budget_max        REAL,
    radius_km         INTEGER,
    night_preferences TEXT,
    updated_at        TEXT DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS user_spotify (
    user_id         TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    spotify_user_id TEXT NOT NULL UNIQUE,
    access_token    TEXT NOT NULL,
    refresh_token   TEXT,
    token_type      TEXT DEFAULT 'Bearer',
    scope           TEXT,
    expires_at      TEXT NOT NULL,
    top_artists     TEXT,
    top_genres      TEXT,
    last_synced_at  TEXT,
    updated_at      TEXT DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS venues (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    address    TEXT NOT NULL,
    capacity   INTEGER DEFAULT 100,
    genreFocus TEXT DEFAULT 'Various',
    latitude   REAL,
    longitude  REAL,
    notes      TEXT
) WITHOUT ROWID;

-- What ON UPDATE CURRENT_TIMESTAMP does on the site's server: a changed row is noticed by its time.
CREATE TRIGGER IF NOT EXISTS events_touched AFTER UPDATE ON events
WHEN NEW.updated_at IS OLD.updated_at
BEGIN
    UPDATE events SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id;
END;

CREATE TRIGGER IF NOT EXISTS user_preferences_touched AFTER UPDATE ON user_preferences
WHEN NEW.updated_at IS OLD.updated_at
BEGIN
    UPDATE user_preferences SET updated_at = CURRENT_TIMESTAMP WHERE user_id = NEW.user_id;
END;

CREATE TRIGGER IF NOT EXISTS user_spotify_touched AFTER UPDATE ON user_spotify
WHEN NEW.updated_at IS OLD.updated_at
BEGIN
    UPDATE user_spotify SET updated_at = CURRENT_TIMESTAMP WHERE user_id = NEW.user_id;
END;
