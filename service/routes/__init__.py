"""The handlers. They only translate between HTTP and the rest."""
