"""A site's interactions and events from CSV and JSONL files: all of a file or none of it, and never twice."""
