"""What settings of a script mean, whether it is around trl, transformers alone or Unsloth."""
