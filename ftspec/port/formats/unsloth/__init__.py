"""Scripts and notebooks around Unsloth: its loaders, its templates, its collators, its defaults."""
