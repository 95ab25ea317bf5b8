"""Rules shared by relatives: what several backends inherit from the same library is said here once."""
