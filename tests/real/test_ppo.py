"""PPO, really trained, in TRL's environment for it: after a reward model of an earlier stage, and by itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ftspec.plan.choose import choose
from ftspec.plan.pipeline import make_pipeline
from ftspec.plan.stages import Plan
from ftspec.run.taken import results
from ftspec.spec.pipeline import Pipeline, load_any
from tests.conftest import SPECS
from tests.real.conftest import Lab
from tests.real.test_options import refusal
from tests.real.test_stages import run

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
