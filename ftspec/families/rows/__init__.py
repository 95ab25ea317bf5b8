"""Which rows a script reads, and what it makes of them."""
