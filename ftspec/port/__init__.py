"""Configs of other tools read into specs: what each setting means, and what became of it."""
