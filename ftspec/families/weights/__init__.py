"""How weights are held, and in which numbers they calculate."""
