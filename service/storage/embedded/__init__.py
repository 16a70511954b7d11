"""The embedded SQLite schema, numbered as `migrations` is: the same number, the same columns."""
