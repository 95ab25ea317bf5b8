"""Training scripts, read from their syntax trees. Nothing is executed.

`written.py` reads the scripts that ftspec writes. Those that people wrote are followed from their first
statement to their last: `state.py` holds what is known of one as data, and each module has functions that are
handed it. `pyproject.toml` says which module may import which, and docs/architecture.md what each knows.
"""
