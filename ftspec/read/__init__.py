"""Readers of native files: Python by its syntax tree, YAML, JSON, shell. Nothing is executed."""
