"""Recommendations for many people into a file, as for a newsletter, without a server."""
