"""The models that the settings name, reached for as long as the host runs; or why there are none."""

import hashlib
import importlib.util
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from midwatch.claude.prices import price_of
from midwatch.claude.purse import Purse
from midwatch.errors import BadSettings
from midwatch.settings.models import ModelSettings
from midwatch.storage.places import Places
from midwatch.storage.privacy import hidden

if TYPE_CHECKING:
    from midwatch.claude.model import Client, Model


_NEEDED: Final = {"bedrock": "boto3", "vertex": "google.auth"}
"""What a service's client needs, and only its extra brings."""


@dataclass
class Models:
    """Who leads and challenges, and who tests; `why_not` says why there are none, and is mostly empty.

    `within` is a purse that investigations are paid from in place of the day's, which it was taken out of.
    """

    lead: "Model | None" = None
    tester: "Model | None" = None
    why_not: str = ""
    within: Purse | None = None


@asynccontextmanager
async def open_models(settings: ModelSettings, places: Places | None = None) -> AsyncGenerator[Models | None]:
    """Yield the models; None when the settings want none. Nothing is asked yet. Calls take `places`, if there are any.

    Raises `BadSettings` for a model without a price, and for a service whose client is not installed.
    """
    if settings.reasoner == "builtin":
        yield None
        return
    from midwatch.claude.model import Model  # noqa: PLC0415 - the client takes long to import, and few want it

    names = [_name_at(settings.model_via, name) for name in (settings.model, settings.tester_model)]
    prices = [price_of(name, settings.model_prices, regional=_is_regional(settings, name)) for name in names]
    if why := _no_key(settings):
        yield Models(why_not=why)
        return
    async with _client(settings) as client:
        account = _account(settings)
        common = (settings.model_call_seconds, places, account, settings.model_calls_at_once)
        lead, tester = (Model(client, name, price, *common) for name, price in zip(names, prices, strict=True))
        yield Models(lead, tester)


def _name_at(via: str, name: str) -> str:
    """Return a model's name as a service has it: at Bedrock a plain one is that of the inference profile for all."""
    return f"global.anthropic.{name}" if via == "bedrock" and name.startswith("claude-") else name


def _is_regional(settings: ModelSettings, name: str) -> bool:
    """Whether a model is served by a region, at a cloud that asks more for that."""
    match settings.model_via:
        case "bedrock":
            return not name.startswith("global.")
        case "vertex":
            return os.environ.get("CLOUD_ML_REGION") != "global"
        case _:
            return False


def _no_key(settings: ModelSettings) -> str:
    if settings.model_via != "anthropic" or _key(settings):
        return ""
    return "there is no key: set ANTHROPIC_API_KEY or MIDWATCH_MODEL_API_KEY_FILE, or MIDWATCH_REASONER=builtin"


def _key(settings: ModelSettings) -> str:
    return _own_key(settings) or os.environ.get("ANTHROPIC_API_KEY", "")


def _own_key(settings: ModelSettings) -> str:
    """Return the key of midwatch's own settings, '' without one."""
    if settings.model_api_key:
        return settings.model_api_key.get_secret_value()
    if settings.model_api_key_file:
        try:
            return settings.model_api_key_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadSettings(f"MIDWATCH_MODEL_API_KEY_FILE: {error.filename}: {error.strerror}") from None
    return ""


def _account(settings: ModelSettings) -> str:
    """Return whose calls are counted together: those by one key, of which its hash is told, or by one cloud."""
    if settings.model_via == "vertex":
        return settings.model_via
    key = _own_key(settings) if settings.model_via == "bedrock" else _key(settings)
    return f"{settings.model_via} {hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _client(settings: ModelSettings) -> "Client":
    """Return the client of a service; raises `BadSettings` when it, or what it needs to know, is not there."""
    import anthropic  # noqa: PLC0415 - as above

    via = settings.model_via
    if via in _NEEDED and not _installed(_NEEDED[via]):
        raise BadSettings(f"MIDWATCH_MODEL_VIA={via} needs midwatch's extra {via} to be installed, see docs/deploy.md")
    try:
        match via:
            case "bedrock":
                key = _own_key(settings) or None  # a key of Bedrock's; without one, AWS credentials as boto3 finds them
                return anthropic.AsyncAnthropicBedrock(api_key=key, base_url=settings.model_base_url)
            case "vertex":
                return anthropic.AsyncAnthropicVertex(project_id=_project(), base_url=settings.model_base_url)
            case _:
                return anthropic.AsyncAnthropic(api_key=_key(settings), base_url=settings.model_base_url)
    except (ValueError, anthropic.AnthropicError) as error:  # as for a region that nothing names
        raise BadSettings(f"MIDWATCH_MODEL_VIA={via} cannot be used: {hidden(str(error))}") from None


def _project() -> str:
    """Return the project that Vertex AI bills; the client needs it before it looks for credentials."""
    for name in ("ANTHROPIC_VERTEX_PROJECT_ID", "GOOGLE_CLOUD_PROJECT"):
        if project := os.environ.get(name):
            return project
    raise ValueError("no project is named: set ANTHROPIC_VERTEX_PROJECT_ID")


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it is not there either
        return False
