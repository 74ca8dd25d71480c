"""A scene: the room and the people of one attack, and what was seen of what the bot made of it."""

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from tests.attack.stage import PASSWORD, Stage, until
from tests.e2e.hostile import Hostile, Json

REFUSED = "refused"
SECRET = "Zwiebelturm"  # what nobody but the room may read


@dataclass(frozen=True)
class Fact:
    """One thing that was seen, and whether it is as it must be."""

    text: str
    right: bool


@dataclass
class Scene:
    """`room_id` is a served room with Anna and the bot; `marks` are where log and requests began."""

    name: str
    stage: Stage
    room_id: str = ""
    facts: list[Fact] = field(default_factory=list)
    forgeries: list[str] = field(default_factory=list)  # events that must have had no effect
    clients: list[Hostile] = field(default_factory=list)  # hostile ones, in the order they came
    _log_mark: int = 0
    _given: dict[str, set[str]] = field(default_factory=dict)
    begun_at: int = 0
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _in_wings: bool = True
    _holds_turn: bool = False

    async def begin(self) -> None:
        """Make the room, have it served, and take the turn. The caller has taken a place in the wings."""
        self.room_id = await self.room(self.name)
        await self.stage.turn.acquire()
        self._holds_turn = True
        self.mark()

    async def room(self, name: str, *, served: bool = True) -> str:
        """A new encrypted room with Anna and the bot; its id."""
        anna, bot = self.stage.anna, self.stage.bot.user_id
        room_id = await anna.create_room(name, bot)
        await anna.see_joined(room_id, bot)
        if served:
            await anna.ask(room_id, f"!room serve {name}", answer="I serve this room")
        return room_id

    def rest(self) -> None:
        """From here on only wait and look: others may act."""
        if self._in_wings:
            self._in_wings = False
            self.stage.wings.release()
        if self._holds_turn:
            self._holds_turn = False
            self.stage.meddler.behave()
            self.stage.turn.release()

    async def end(self) -> None:
        """Give back the turn, and end the connections."""
        self.rest()
        await self._stack.aclose()

    def mark(self) -> None:
        """From here on counts what is logged and asked of the homeserver."""
        self._log_mark, self.begun_at = len(self.stage.log()), len(self.stage.meddler.requests)

    # people

    async def member(
        self, name: str = "mallory", *, enrolled: bool = True, join: bool = True, keys: bool = True
    ) -> Hostile:
        """A hostile client; by default of an enrolled, cross-signed officer who is in the room."""
        user_id = await self.stage.homeserver.register(f"{name}-{self.name.lower()}", PASSWORD)
        client = await self.device(user_id, keys=keys, signed=keys)
        if enrolled:
            command = f"!member add {user_id} {self.stage.agency}"
            await self.stage.anna.ask(self.room_id, command, answer="is enrolled")
        if join:
            await self.bring_in(client)
        return client

    async def bring_in(self, client: Hostile, room_id: str | None = None) -> None:
        """Invite this client to the room; returns once the bot has seen it join."""
        room_id = room_id or self.room_id
        await self.stage.anna.session.invite(room_id, client.user_id)
        await client.join(room_id)
        await until(lambda: client.user_id in self.present(room_id), "the bot to see the join")

    async def device(
        self, user_id: str, password: str = PASSWORD, *, keys: bool = True, signed: bool = False
    ) -> Hostile:
        """One more device on somebody's account, by default not cross-signed."""
        url = self.stage.homeserver.url
        client = await Hostile.open(url, user_id, password, keys=keys, signed=signed)
        self._stack.push_async_callback(client.close)
        self.clients.append(client)
        return client

    async def share(self, client: Hostile, room_id: str | None = None, **wrong: Any) -> None:
        """Give the bot the key of this client's session."""
        stage = self.stage
        await client.share(room_id or self.room_id, stage.bot.user_id, stage.bot_device, **wrong)

    async def say(self, client: Hostile, body: str, **outer: Any) -> str:
        """Say something, encrypted in the client's session; the event's id."""
        return await client.send(self.room_id, client.message(self.room_id, body, **outer))

    def forge(self, sender: str, content: Json, room_id: str | None = None, **event: Any) -> str:
        """An event that only the homeserver has made; its id."""
        return self.stage.meddler.inject_event(room_id or self.room_id, sender, content, **event)

    # what is seen

    def saw(self, text: str, right: bool) -> None:
        """Note what was seen."""
        self.facts.append(Fact(text, right))

    def present(self, room_id: str | None = None) -> set[str]:
        """Who the bot believes is joined."""
        query = "SELECT user_id FROM room_members WHERE room_id = ?"
        return {row[0] for row in self.stage.rows(query, room_id or self.room_id)}

    def outbound(self, room_id: str | None = None) -> str | None:
        """The session that the bot will use next in this room, if it has one."""
        query = "SELECT session_id FROM megolm_outbound WHERE room_id = ?"
        found = self.stage.rows(query, room_id or self.room_id)
        return str(found[0][0]) if found else None

    def state(self) -> Json:
        """What the bot remembers of the room."""
        found = self.stage.rows("SELECT document FROM room_states WHERE room_id = ?", self.room_id)
        document: Json = json.loads(found[0][0]) if found else {}
        return document

    def is_served(self) -> bool:
        """Whether the bot works in the room."""
        return self.stage.rows("SELECT served FROM rooms WHERE room_id = ?", self.room_id) == [(1,)]

    def waits_for_key(self, event_id: str) -> bool:
        """Whether the bot has the event and cannot open it."""
        return bool(self.stage.rows("SELECT 1 FROM awaited_events WHERE event_id = ?", event_id))

    def verdict(self, event_id: str) -> str:
        """What the audit record says of an event: its outcome and reason; empty if it says nothing."""
        query = "SELECT outcome, reason_code FROM audit WHERE event_id = ? ORDER BY id"
        said = [f"{row[0]} {row[1]}" if row[1] else row[0] for row in self.stage.rows(query, event_id)]
        return " + ".join(said)

    async def refused(self, what: str, event_ids: Iterable[str], *reasons: str) -> None:
        """Each of these events is on record as refused, for one of these reasons."""
        ids = list(event_ids)
        self.forgeries += ids
        verdicts = [await until(lambda of=each: self.verdict(of), f"a verdict on {what}") for each in ids]  # type: ignore[misc]
        wanted = {f"{REFUSED} {reason}" for reason in reasons}
        said = ", ".join(f"{count}× {verdict}" for verdict, count in Counter(verdicts).items())
        self.saw(f"{what}: {said}", bool(ids) and set(verdicts) <= wanted)

    async def logged(self, what: str, count: int, *parts: str) -> None:
        """So many lines with these parts were logged since the mark, and no more."""
        await until(lambda: self.in_log(*parts) >= count, f"{count} log lines of {parts}")
        seen = self.in_log(*parts)
        self.saw(f"{seen} {what}", seen == count)

    async def answered(self, client: Hostile, what: str = "an honest command of theirs") -> str:
        """This client's `!ping` is answered: the way in which the forgeries came is open."""
        event_id = await self.say(client, "!ping")
        await self.stage.anna.answer(event_id, "pong")
        self.saw(f"{what} was answered", True)
        return event_id

    def in_log(self, *parts: str) -> int:
        """How many lines with these parts were logged since the mark."""
        return self.stage.said_in_log(*parts, since=self._log_mark)

    def sent(self, room_id: str | None = None, kind: str = "m.room.encrypted") -> list[Json]:
        """What the bot has sent to the room since the mark."""
        part = f"/rooms/{room_id or self.room_id}/send/{kind}/"
        return [body for path, body in self.stage.meddler.requests[self.begun_at :] if part in path]

    def handed(self, client: Hostile, kind: str = "m.room.encrypted") -> list[Json]:
        """The to-device messages that the bot has sent to this device since the mark."""
        requests = self.stage.meddler.requests[self.begun_at :]
        found = [body["messages"] for path, body in requests if f"/sendToDevice/{kind}/" in path]
        to = [each.get(client.user_id, {}).get(client.device_id) for each in found]
        return [each for each in to if each is not None]

    def withheld(self, client: Hostile) -> set[str]:
        """The codes with which the bot has told this device that it gets no key, since the mark."""
        return {str(each["code"]) for each in self.handed(client, "m.room_key.withheld")}

    async def room_keys(self, client: Hostile) -> set[str]:
        """The sessions of this room of which the bot has given this device the key."""
        for payload in await client.given(self.stage.bot.user_id):
            if payload["type"] == "m.room_key" and payload["content"]["room_id"] == self.room_id:
                self._given.setdefault(client.device_id, set()).add(payload["content"]["session_id"])
        return self._given.get(client.device_id, set())

    async def alert_waits(self, why: str) -> None:
        """An alert raised now is only named in the room, with the reason; what it says is held back."""
        anna, bot = self.stage.anna, self.stage.bot.user_id
        await anna.say(self.room_id, f'!alert severe "{SECRET} {self.name}"')
        await anna.hear_text(self.room_id, why, bot)
        told = [each for each in anna.heard(self.room_id) if SECRET in each.body and each.sender == bot]
        self.saw("an alert was held back", not told)

    async def alert_told(self) -> None:
        """Now that all is well the alert is said."""
        await self.stage.anna.hear_text(self.room_id, f"{SECRET} {self.name}", self.stage.bot.user_id)
        self.saw("and said once that was mended", True)

    async def kick(self, client: Hostile) -> None:
        """Anna puts someone out; returns once the bot has seen it."""
        await self.stage.hand.call("POST", f"/rooms/{self.room_id}/kick", {"user_id": client.user_id})
        await until(lambda: client.user_id not in self.present(), "the bot to see them go")

    async def honest_ping(self) -> None:
        """Anna asks, and the bot answers: nothing that was tried has stopped it."""
        await self.stage.anna.ask(self.room_id, "!ping", answer="pong")

    async def close(self) -> None:
        """The bot lives and takes honest commands, and no forgery had an effect."""
        await self.honest_ping()
        acted = [each for each in self.forgeries if "ok" in self.verdict(each).split()]
        if acted:
            self.saw(f"{len(acted)} forged events had an effect", False)
        if not self.facts:
            self.saw("nothing was seen", False)
