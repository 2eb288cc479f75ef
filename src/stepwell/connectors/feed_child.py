"""The program of a child process that reads one RSS or Atom feed: bytes on stdin, JSON on stdout. It imports nothing of
Stepwell, so that it starts fast, and is given little memory and as many seconds of a processor as its argument says: a
hostile feed can cost its parser minutes."""

import calendar
import io
import json
import resource
import sys
from datetime import UTC, datetime
from typing import Any

import feedparser

MEMORY = 512 * 1024 * 1024
MOST_ITEMS = 1000
LONGEST_TEXT, LONGEST_CONTENT = 16_384, 131_072
MOST_TEXT = 4 * 1024 * 1024  # of all contents together


def read(data: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """`{feed, entries}` with the entries in the order of the feed, or `{error}`."""
    parsed = feedparser.parse(io.BytesIO(data), response_headers=headers)
    if not parsed.version:
        return {"error": "is no RSS or Atom feed"}
    feed = {"title": _text(parsed.feed.get("title")), "link": _text(parsed.feed.get("link"))}
    left = [MOST_TEXT]
    return {"feed": feed, "entries": [_entry(entry, left) for entry in parsed.entries[:MOST_ITEMS]]}


def _entry(entry: Any, left: list[int]) -> dict[str, Any]:
    contents = entry.get("content") or []
    return {
        "id": _text(entry.get("id")) or _text(entry.get("link")),
        "title": _text(entry.get("title")),
        "link": _text(entry.get("link")),
        "summary": _bounded(entry.get("summary"), left),
        "content": _bounded(contents[0].get("value") if contents else None, left),
        "author": _text(entry.get("author")),
        "published": _time(entry.get("published_parsed")),
        "updated": _time(entry.get("updated_parsed")),
        "categories": [text for tag in (entry.get("tags") or [])[:50] if (text := _text(tag.get("term")))],
        "enclosures": [
            {"url": _text(each.get("href")), "type": _text(each.get("type")), "length": _text(each.get("length"))}
            for each in (entry.get("enclosures") or [])[:20]
        ],
    }


def _bounded(value: Any, left: list[int]) -> str | None:
    text = _text(value, min(LONGEST_CONTENT, left[0]))
    left[0] -= len(text or "")
    return text


def _text(value: Any, limit: int = LONGEST_TEXT) -> str | None:
    return value[:limit] or None if isinstance(value, str) else None


def _time(parsed: Any) -> str | None:
    """ISO 8601 in UTC of what feedparser made of a date."""
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def main() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    seconds = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    headers = json.loads(sys.stdin.buffer.readline())
    answer = read(sys.stdin.buffer.read(), headers)
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=True).encode())


if __name__ == "__main__":
    main()
