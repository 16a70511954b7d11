"""Compiled inner loops. They trust their arguments: the public functions beside them check once."""
