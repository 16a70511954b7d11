"""From interactions to a published model."""
