"""What of a model trains: rows of field maps, and statements of scripts."""
