"""Training scripts and notebooks, read from their syntax trees. Nothing is executed."""
