"""The statistics of experiments: pure functions over small frozen values that add up."""
