"""Replays: a fixed range of a topic judged once more, apart from live work."""
