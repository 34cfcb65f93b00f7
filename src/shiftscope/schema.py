"""The base of every typed block of configuration."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A block of configuration that refuses unknown keys and cannot be changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
