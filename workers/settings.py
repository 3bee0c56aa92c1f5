"""All settings of the service, from the environment. Four more are read where they are used.

STSG_JARS (graphdb), STSG_TRUST_REMOTE_CODE (model), STSG_CRASH_AT and STSG_HOLD_AT (tests of faults).
"""

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from model import stsg
from model.backends.transport import CallLimits
from model.media import MediaLimits

_WAIT_SECONDS = 2.0  # a longer pause puts the job off, and the worker takes others
_SECRET = ("neo4j_password", "redis_url")
_TINY = Path(stsg.__file__).parent / "checkpoints" / "tiny"


class Settings(BaseSettings):
    """What an operator may set, as STSG_<NAME>; an empty value counts as unset."""

    model_config = SettingsConfigDict(env_prefix="STSG_", env_ignore_empty=True, frozen=True)

    home: Path = Field(Path(".stsg"), description="State of the local stack.")
    neo4j_uri: str = Field("", description="An external Neo4j; empty for the embedded one.")
    neo4j_user: str = "neo4j"
    neo4j_password: SecretStr = SecretStr("")
    neo4j_heap_mb: int = Field(512, ge=256, description="Memory of the embedded Neo4j's queries.")
    neo4j_pagecache_mb: int = Field(128, ge=16, description="Memory of the embedded Neo4j for what is stored.")
    neo4j_browser_url: str = Field("", description="Where users reach Neo4j Browser.")
    redis_url: SecretStr = Field(
        SecretStr(""), description="An external Redis-protocol broker; empty for the embedded one."
    )
    storage: str = Field("", description="An fsspec URL or folder for files; empty for <home>/files.")
    models: dict[str, str] = Field(default_factory=dict, description="Video-LLMs a run may name: name to spec.")
    default_model: str = Field("tiny", description="The Video-LLM of runs that name none.")
    workers: int = Field(0, ge=0, le=1024, description="Workers of the local stack; 0: one for each GPU, or one.")
    remote_jobs: int = Field(16, ge=1, le=256, description="Jobs on models behind servers that go side by side.")
    server_jobs: int = Field(4, ge=1, description="Those of them that call one server.")
    long_frames: int = Field(18_000, ge=0, description="A video of more frames is split apart from shorter ones.")
    api_host: str = "127.0.0.1"
    api_port: int = Field(8000, ge=0, le=65_535)
    api_tokens: list[Annotated[SecretStr, Field(min_length=1)]] = Field(
        default_factory=list, description="Bearer tokens; none is fine on loopback only."
    )
    api_origins: list[str] = Field(
        default_factory=list,
        description="Origins of web pages, beside the API's own, that may call it without a token.",
    )
    public_url: str = Field("", description="Where users reach the API, where that is not its own address.")
    max_upload_bytes: int = Field(8 * 2**30, gt=0)
    max_seconds: float = Field(2 * 3600, gt=0)
    max_pixels: int = Field(4096 * 4096, gt=0)
    max_frames: int = Field(1_000_000, gt=0)
    upload_idle_seconds: float = Field(30, gt=0, description="An upload that sends nothing for so long is closed.")
    lease_seconds: float = Field(15, gt=0, description="A worker silent for so long has lost its job.")
    reconcile_seconds: float = Field(3, gt=0)
    model_idle_seconds: float = Field(60, gt=0, description="A Video-LLM that was not used for so long is let go.")
    trouble_pause_seconds: float = Field(
        60, ge=0, description="The longest pause of a job whose model or GPU is in trouble, before it is tried again."
    )
    longest_wait_seconds: float = Field(
        300, gt=0, description="The longest time for which a model's server may ask not to be called."
    )
    patience_seconds: float = Field(
        86_400, gt=0, description="A job that waits for something away without any progress for so long fails."
    )
    call_seconds: float = Field(120, gt=0, description="The longest time of one call of a model's server.")
    max_reply_bytes: int = Field(4 * 2**20, gt=0, description="The size of one reply of a model's server, unpacked.")
    max_reply_depth: int = Field(64, gt=0, le=500, description="How deep a server's reply may be nested, as JSON.")
    stage_seconds: float = Field(86_400, gt=0, description="The longest time of one stage of a job, but a training.")
    unread_share: float = Field(
        0.9, gt=0, le=1, description="A job fails when more of a stage's replies than this share can't be read."
    )
    max_attempts: int = Field(3, ge=1, description="A job that dies so often is given up.")

    training_silence_seconds: float = Field(300, gt=0, description="A training silent for so long is started again.")
    trainings_end: bool = Field(
        False, description="Trainings end with their worker, as in a container, and go on later."
    )

    @property
    def limits(self) -> MediaLimits:
        return MediaLimits(max_seconds=self.max_seconds, max_pixels=self.max_pixels, max_frames=self.max_frames)

    @property
    def calls(self) -> CallLimits:
        """The limits of calls of a model's server; a worker waits for no pause that one asks for."""
        return CallLimits(self.call_seconds, _WAIT_SECONDS, self.max_reply_bytes, self.max_reply_depth)

    def calls_servers(self) -> bool:
        """Tell whether a model that a run may name is behind a server."""
        return any(spec.startswith("openai:") for spec in self.models.values())

    @property
    def storage_url(self) -> str:
        return self.storage or str((self.home / "files").absolute())

    def model_specs(self) -> dict[str, str]:
        """Every Video-LLM that a run may name, with its spec; the tiny one is always there."""
        return {"tiny": f"hf:{_TINY}"} | self.models

    def with_local_stack(self) -> "Settings":
        """These settings, with the addresses of the local stack of `home` where the environment names none."""
        file = self.home / "stack.json"
        if not file.exists():
            return self
        stack: dict[str, Any] = json.loads(file.read_text())["settings"]
        missing = {k: SecretStr(v) if k in _SECRET else v for k, v in stack.items() if not getattr(self, k)}
        return self.model_copy(update=missing)


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings().with_local_stack()
