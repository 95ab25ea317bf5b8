"""The scripts of the transformers family: their field map, how they are written and read."""
