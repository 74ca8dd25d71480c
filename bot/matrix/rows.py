"""From a trusted plaintext to what the inbox keeps of it: pure, and from the plaintext alone."""

from bot.matrix.trust import Reason
from bot.matrix.wire import Json, Malformed, need, obj, text, texts

LONGEST_BODY = 64 * 1024
NOTICE = "m.notice"
MOST_MENTIONS = 100


class NotAllowed(Exception):
    """A plaintext that must not be acted on, and the reason for it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def read_payload(payload: Json, room_id: str, device_id: str, notices: bool) -> tuple[str, Json] | None:
    """The row's kind and content; None for what is of no concern. NotAllowed or Malformed.

    Bots speak in notices: a bot that acts on them (`notices`) may talk with another for ever.
    """
    if payload.get("room_id") != room_id:
        raise NotAllowed(Reason.ROOM_MISMATCH)
    if "state_key" in payload:
        raise NotAllowed(Reason.STATE_IN_CIPHERTEXT)
    if "sender" in payload or "unsigned" in payload or not isinstance(payload.get("content"), dict):
        raise Malformed("not the payload of a message")
    kind, content = text(payload.get("type")), payload["content"]
    if kind == "m.room.message":
        return read_message(content, device_id, notices)
    if kind == "m.reaction":
        return read_reaction(content, unsigned=False)
    if kind is None:
        raise Malformed("a payload without type")
    if kind.startswith("m.room."):
        # Power levels, membership, even encryption: state is what the room says, never what a member does.
        raise NotAllowed(Reason.STATE_IN_CIPHERTEXT)
    return None


def read_message(content: Json, device_id: str, notices: bool) -> tuple[str, Json] | None:
    """An original message or an edit of one."""
    relation = obj(content.get("m.relates_to"))
    is_edit = relation.get("rel_type") == "m.replace"
    said = obj(content.get("m.new_content")) if is_edit else content
    msgtype, body = text(said.get("msgtype")), said.get("body")
    if msgtype is None or not isinstance(body, str):
        raise Malformed("a message without body")
    if msgtype == NOTICE and not notices:
        return None
    row: Json = {"body": body, "msgtype": msgtype, "device_id": device_id}
    row["mentions"] = texts(obj(said.get("m.mentions")).get("user_ids"))[:MOST_MENTIONS]
    if text(said.get("formatted_body"), LONGEST_BODY):
        row["formatted_body"] = said["formatted_body"]
    if isinstance(said.get("file"), dict):
        row["file"] = {**said["file"], "filename": text(said.get("filename")) or text(body)}
    if is_edit:
        return "edit", row | {"target": need(relation.get("event_id"))}
    return "message", row | _places(relation, body)


def _places(relation: Json, body: str) -> Json:
    """What the message answers; the body without the quotation that older clients add to an answer."""
    thread = text(relation.get("event_id")) if relation.get("rel_type") == "m.thread" else None
    reply_to = text(obj(relation.get("m.in_reply_to")).get("event_id"))
    if thread is not None and relation.get("is_falling_back") is True:
        reply_to = None  # only there for clients that know no threads
    answers = reply_to is not None or thread is not None
    return {"body": without_fallback(body) if answers else body, "reply_to": reply_to, "thread": thread}


def read_reaction(content: Json, *, unsigned: bool) -> tuple[str, Json] | None:
    """A reaction; Malformed if it is none."""
    relation = obj(content.get("m.relates_to"))
    target, key = text(relation.get("event_id")), text(relation.get("key"), 64)
    if relation.get("rel_type") != "m.annotation" or target is None or key is None:
        raise Malformed("a reaction to nothing")
    return "reaction", {"target": target, "key": key, "unsigned": unsigned}


def read_redaction(event: Json) -> tuple[str, Json] | None:
    """A redaction; its target moved into the content with room version 11."""
    target = text(obj(event.get("content")).get("redacts")) or text(event.get("redacts"))
    return None if target is None else ("redaction", {"target": target})


def without_fallback(body: str) -> str:
    """The body without the quoted lines that older clients put before a reply."""
    lines = body.split("\n")
    if not lines[0].startswith(("> <@", "> * <@")):
        return body
    start = next((at for at, line in enumerate(lines) if not line.startswith(">")), len(lines))
    if start < len(lines) and not lines[start].strip():
        start += 1
    return "\n".join(lines[start:])
