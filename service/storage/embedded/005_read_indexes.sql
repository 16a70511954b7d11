-- What changed is looked up by its time every two seconds.

CREATE INDEX IF NOT EXISTS user_saved_events_saved ON user_saved_events (saved_at);
CREATE INDEX IF NOT EXISTS user_hidden_events_hidden ON user_hidden_events (hidden_at);
CREATE INDEX IF NOT EXISTS events_updated ON events (updated_at);
