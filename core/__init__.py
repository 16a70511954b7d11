"""Numbers only: matrices, kernels, arms, evaluation and the model bundle.

Nothing here reads a clock, an environment variable or a socket; the only files touched are a bundle's own.
"""
