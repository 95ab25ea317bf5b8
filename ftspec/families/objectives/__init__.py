"""What a run learns: rows of field maps for each objective."""
