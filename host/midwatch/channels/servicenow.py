"""ServiceNow: work notes on the record that an alert came from, through the Table API, at turning points only.

A note that may be there is looked for in the record's journal by the id at its end.
"""

import re
from typing import Final
from urllib.parse import unquote

from pydantic import JsonValue

from midwatch.channels import wording
from midwatch.channels.escaping import cut, plain
from midwatch.channels.http import Client
from midwatch.channels.letters import Letter, Style, Undelivered
from midwatch.channels.notices import Notice
from midwatch.settings.channels import ServiceNowSettings

_SYS_ID: Final = re.compile(r"[0-9a-f]{32}")
_NUMBER: Final = re.compile(r"[A-Z]{2,10}\d{4,12}")
_IN_LINK: Final = re.compile(r"[?&]sys_id=([0-9a-f]{32})(?:&|$)")
_CODE: Final = re.compile(r"\[(?=/?code\])", re.IGNORECASE)
_MOST: Final = 30_000


class ServiceNow:
    """The records of one table of an instance."""

    style = Style()

    def __init__(self, settings: ServiceNowSettings) -> None:
        s = self._settings = settings
        headers = {"Accept": "application/json"}
        if s.token:
            headers["Authorization"] = f"Bearer {s.token.get_secret_value()}"
        login = (s.username, s.password.get_secret_value()) if s.username and s.password else None
        self._http = Client(s.url, s.seconds, headers, login)
        self._known: dict[str, str] = {}

    def has_place(self, notice: Notice) -> bool:
        """Return whether an alert names a record."""
        return self._named(notice) is not None

    def content(self, letter: Letter) -> JsonValue:
        """Return the work note; `[code]`, in which HTML counts, is taken apart."""
        end = f"\n{wording.signature(letter)}"
        text = _CODE.sub("[ ", plain(wording.plain_text(letter)))
        return text if len(text) <= _MOST else cut(text, _MOST - len(end)) + end

    async def send(self, letter: Letter) -> str:
        """Write the note; returns the record's sys_id."""
        record = await self._record(letter.notice)
        path = f"/api/now/table/{self._settings.table}/{record}"
        await self._http.ask(
            "PATCH", path, sent={"work_notes": self.content(letter)}, parameters={"sysparm_fields": "sys_id"}
        )
        return record

    async def change(self, place: str, letter: Letter) -> None:
        """Do nothing: a work note stays as it is."""

    async def find(self, letter: Letter) -> str | None:
        """Look for a work note of the record that holds this id."""
        record = await self._record(letter.notice)
        query = f"element_id={record}^element=work_notes^valueLIKE{letter.id}"
        asked = {"sysparm_query": query, "sysparm_fields": "sys_id", "sysparm_limit": "1"}
        told = await self._http.ask("GET", "/api/now/table/sys_journal_field", parameters=asked)
        return record if (told or {}).get("result") else None

    async def check(self) -> str:
        """Read one record of the table."""
        asked = {"sysparm_limit": "1", "sysparm_fields": "sys_id"}
        await self._http.ask("GET", f"/api/now/table/{self._settings.table}", parameters=asked)
        return f"{self._http.place} lets us read {self._settings.table}"

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    def _named(self, notice: Notice) -> str | None:
        """Return the sys_id, or else the number, of the record that an alert names."""
        for origin in notice.origins:
            if origin.source == "servicenow":
                for name in (origin.labels.get("sys_id", ""), origin.external_id, origin.labels.get("number", "")):
                    if _SYS_ID.fullmatch(name) or _NUMBER.fullmatch(name):
                        return name
        links = [*(link for origin in notice.origins for link in origin.links), *notice.links]
        ours = [unquote(link) for link in links if link.startswith(f"{self._settings.url}/")]
        return next((found[1] for link in ours if (found := _IN_LINK.search(link))), None)

    async def _record(self, notice: Notice) -> str:
        """Return the sys_id of the record; a number is looked up once. What is asked for has no sign of a query."""
        name = self._named(notice) or ""
        if _SYS_ID.fullmatch(name):
            return name
        if name not in self._known:
            asked = {"sysparm_query": f"number={name}", "sysparm_fields": "sys_id", "sysparm_limit": "1"}
            told = await self._http.ask("GET", f"/api/now/table/{self._settings.table}", parameters=asked)
            rows = (told or {}).get("result") or []
            if not rows:
                raise Undelivered(f"{self._http.place} has no {self._settings.table} {name}", hopeless=True)
            self._known[name] = str(rows[0]["sys_id"])
        return self._known[name]
