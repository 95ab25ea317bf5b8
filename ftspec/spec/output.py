"""spec.output: where results go, and who is told."""

from typing import ClassVar, Literal

from pydantic import Field

from ftspec.spec.base import Items, Node

Tracker = Literal["tensorboard", "wandb", "mlflow", "swanlab", "trackio"]


class Hub(Node):
    """Upload of the result. The token is read from the environment (HF_TOKEN), never from a spec."""

    short: ClassVar[str | None] = "repo"

    repo: str = Field(pattern=r"^([\w.-]+/)?[\w.-]+$")
    """Repository of the hub, `org/name`; a bare name is one of the account that the token belongs to."""
    private: bool = True
    """Make the repository private if it is new."""


class Output(Node):
    """Results. `output: runs/mine` means `{folder: runs/mine}`."""

    short: ClassVar[str | None] = "folder"

    folder: str | None = Field(None, min_length=1)
    """Folder of the results, relative to the spec's file; each backend writes into a folder of its own
    in it. Left out: `runs/` and the spec's name."""
    quantization: Literal["nf4", "fp4", "int8", "qat"] | None = None
    """A further copy of the whole model in few bits, an adapter merged into it first, in the folder
    `quantized` of the result: `nf4`, `fp4` and `int8` by bitsandbytes, `qat` as `train.qat` says. The head
    and the embeddings stay whole. null: none."""
    trackers: Items[Tracker] = ()
    """Experiment trackers to report to. Left out: none is started."""
    hub: Hub | None = None
    """Where to upload the result. null: nowhere."""
