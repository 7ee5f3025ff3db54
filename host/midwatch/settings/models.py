"""Settings of the model: whether one takes part, which, where it is served, and what it may spend."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from midwatch.settings.secret import Secret
from midwatch_kit.records import Record


class Price(Record):
    """US dollars for a million tokens; a long prompt may cost more from `long_from` tokens of input on."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_write: float = Field(ge=0)
    cache_read: float = Field(ge=0)
    long_from: int | None = Field(None, gt=0)
    long_factor: float = Field(1.0, ge=1)


class ModelSettings(BaseSettings):
    """Environment variables with the prefix `MIDWATCH_`; US dollars and seconds throughout."""

    model_config = SettingsConfigDict(env_prefix="MIDWATCH_", frozen=True, protected_namespaces=())

    reasoner: Literal["builtin", "claude"] = Field(
        "builtin", description="who judges: statistics alone, or a model too"
    )
    model: str = Field("claude-sonnet-5-5", description="the model that leads and challenges")
    tester_model: str = Field("claude-haiku-5-5", description="the model that tests single hypotheses")
    model_via: Literal["anthropic", "bedrock", "vertex"] = Field("anthropic", description="whose service serves them")
    model_base_url: str | None = Field(None, description="any service that speaks the Messages API")
    model_api_key: Secret | None = Field(None, description="its key; else ANTHROPIC_API_KEY")
    model_api_key_file: Path | None = Field(None, description="a file with the key")
    model_prices: dict[str, Price] = Field({}, description="US dollars for a million tokens, by model")

    model_call_seconds: float = Field(60, gt=0, description="time for one call of a model")
    model_calls_at_once: int | None = Field(
        None, gt=0, description="calls of models by one key at the same time, over all hosts"
    )
    model_task_seconds: float = Field(120, gt=0, description="time for one task of a model")
    model_task_turns: int = Field(12, gt=0, description="calls of a model for one task")
    model_task_tokens: int = Field(150_000, gt=0, description="tokens for one task, in and out, cached or not")
    model_task_usd: float = Field(0.10, ge=0, description="dollars for one task")
    model_incident_tokens: int = Field(800_000, gt=0, description="tokens for one investigation")
    model_incident_usd: float = Field(0.50, ge=0, description="dollars for one investigation")
    model_question_tokens: int = Field(150_000, gt=0, description="tokens for the answer to one question of a person")
    model_question_usd: float = Field(0.10, ge=0, description="dollars for the answer to one question of a person")
    model_day_usd: float = Field(20.0, ge=0, description="dollars for a day (UTC), all investigations together")
    model_output_tokens: int = Field(2_000, gt=0, description="tokens that a model may say at once")
    model_prompt_tokens: int = Field(25_000, gt=0, description="tokens from which on a conversation is shortened")
