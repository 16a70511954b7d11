"""What the service knows right now: the catalogue, people's profiles, the model, kept current in memory."""
