"""The spec itself: one document that says what a fine-tuning run is."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from ftspec.spec.base import Node, Whole
from ftspec.spec.data import Data
from ftspec.spec.hardware import Hardware
from ftspec.spec.method import Method
from ftspec.spec.model import Model
from ftspec.spec.output import Output
from ftspec.spec.precision import Precision
from ftspec.spec.run import Run
from ftspec.spec.train import Train


class Spec(Node):
    """What a fine-tuning run is: model, data, method, precision, training, hardware, output."""

    version: Annotated[Literal[1], Whole] = 1
    """Version of this format."""
    model: Model
    """The model to tune."""
    data: Data
    """Training and evaluation data."""
    method: Method = Method()
    """Objective and tuner. `lora` and `full` are short for supervised fine-tuning with that tuner."""
    precision: Precision = Precision()
    """Number formats of the arithmetic."""
    train: Train = Train()
    """The optimisation."""
    hardware: Hardware = Hardware()
    """What the run may use."""
    output: Output = Output()
    """Where results go."""
    run: Run = Run()
    """Which backend executes the spec, and in which environment."""
    native: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    """Native settings per backend, passed through as they are and shown in every plan:
    `{llamafactory: {preprocessing_num_workers: 4}}`."""
