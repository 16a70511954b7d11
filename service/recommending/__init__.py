"""A request's way, from a checked request to encoded bytes."""
