"""What the rows are: read, recognised, rendered, tokenised, written for all backends at once."""
