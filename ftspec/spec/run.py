"""spec.run: which backend executes the spec, and in which environment."""

from typing import ClassVar, Literal

from pydantic import Field

from ftspec.spec.base import Items, Node


class Run(Node):
    """Execution. Nothing here changes what is learned."""

    short: ClassVar[str | None] = "backends"

    backends: Items[str] = Field(("trl", "unsloth", "llamafactory", "deepspeed"), min_length=1)
    """Backends in order of preference: `ftspec run` takes the first that can do all the spec asks."""
    environment: Literal["aligned", "latest"] = "aligned"
    """`aligned`: one torch, transformers, peft and accelerate for all backends, so that results can be
    proven equal. `latest`: each framework's newest release."""
    telemetry: bool = False
    """Let the frameworks report usage to their makers."""
