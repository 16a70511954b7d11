"""Experiments: who gets which variant, what came of it, and the stores that keep both."""
