"""Every database and every queue on disk."""
