"""People with known tastes and a known reaction to an experiment's variants, sent through the service's own API."""
