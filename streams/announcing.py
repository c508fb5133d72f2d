"""Makes the message of a segment change: the event with its play and route."""

from __future__ import annotations

from resegment.agents.batch import Message
from resegment.agents.segmenter import Announce
from resegment.schemas.change import SegmentChange
from resegment.schemas.outgoing import CONTENT_TYPE, describe_play, encode_change
from resegment.segmentation.definition import Definition


def announcer(definition: Definition, topic: str) -> Announce:
    """A function from a change to its message on the topic of segment changes."""
    plays = {name: describe_play(play) for name, play in definition.plays.items()}
    routes = {one.name: one.route.model_dump() if one.route else None for one in definition.segments}
    play_of = {one.name: one.play for one in definition.segments}
    headers = [("content-type", CONTENT_TYPE)]

    def announce(change: SegmentChange) -> Message:
        return Message(topic, change.account.encode(), encode_change(change, plays, routes, play_of), headers)

    return announce
