"""Writers that no value can break out of: Python, YAML, JSON, shell; and the disk."""
