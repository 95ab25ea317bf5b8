"""Settings of transformers' Trainer, its optimizers and schedules, and how it is launched."""
