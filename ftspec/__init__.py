"""ftspec: one spec for fine-tuning, compiled to TRL, LLaMA-Factory, Unsloth and DeepSpeed."""

__version__ = "0.1.0"
