"""`lossgate replay diff`: what two networks or policies say of the same events."""

import csv
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.environment import configure_quiet_logging, load_settings
from worker.cli.json_lines import to_line
from worker.cli.terminal import probability_text
from worker.exceptions import LossgateError, SettingsError
from worker.logs import printable
from worker.replay.comparison import Comparison, Event, Pair, Said, compare
from worker.replay.plan import LIVE
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.replay.plan import ReplayPlan


class Format(StrEnum):
    """How it is printed."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


Side = Annotated[
    str, typer.Argument(metavar="REPLAY|live", help="Id of a replay, or `live` for live verdicts.", show_default=False)
]


def diff(
    left: Side,
    right: Side,
    output: Annotated[
        Format,
        typer.Option("--format", help="`csv` and `json` have a row or object for each event, `text` sums up."),
    ] = Format.TEXT,
    top: Annotated[int, typer.Option(min=0, help="So many of the most changed, in `text`.")] = 20,
    changed_only: Annotated[
        bool, typer.Option("--changed", help="In `csv` and `json`: only events whose decision differs.")
    ] = False,
) -> None:
    """Compare two replays, or a replay with what live work said, event by event.

    Compared are the events that both could have judged: those that lie in the ranges of the replays named here and
    are meant by their choice. Two replays must be of the same topic.

    Exit codes:

    * 0: compared
    * 2: wrong arguments or settings
    * 4: there is no such replay, or Kafka could not be read
    """
    settings = load_settings()
    configure_quiet_logging(settings)
    if left == right:
        raise SettingsError("Both sides are the same; name two replays, or a replay and `live`.")
    from worker.cli.replay_plans import all_plans  # noqa: PLC0415 -- loads Kafka's client

    plans = {each.replay_id: each for each in all_plans(settings)}
    if missing := [each for each in (left, right) if each != LIVE and each not in plans]:
        raise LossgateError(f"{settings.replays_topic} holds no plan of {missing[0]}.")
    sides = [plans[each] for each in (left, right) if each != LIVE]
    if len({each.request.topic for each in sides}) > 1:
        raise SettingsError("The two replays are of different topics; there is nothing to compare.")
    comparison = compare(*(_said(settings, plans.get(each), sides) for each in (left, right)))
    if output is Format.TEXT:
        _print_text(comparison, left, right, top)
        return
    shown = (each for each in comparison.pairs if not (changed_only and _is_unchanged(each)))
    (_print_csv if output is Format.CSV else _print_json)(shown, left, right)


def _said(settings: Settings, plan: "ReplayPlan | None", sides: "list[ReplayPlan]") -> Iterator[tuple[Event, Said]]:
    """Read one side's verdicts on the events that all the replays cover."""
    from worker.cli.verdict_reader import VerdictReader  # noqa: PLC0415 -- loads Kafka's client

    topic = settings.verdicts_topic if plan is None else plan.apply_to(settings).verdicts_topic
    replay_id = None if plan is None else plan.replay_id
    with VerdictReader(settings.model_copy(update={"verdicts_topic": topic})) as reader:
        reader.start_at_beginning()
        for _partition, verdict in reader.rest():
            source = verdict.source
            event = (source.topic, source.partition, source.offset)
            if verdict.replay_id == replay_id and all(
                each.covers(*event) and each.request.selection.takes(verdict.delivery) for each in sides
            ):
                yield event, Said.of(verdict)


def _print_text(comparison: Comparison, left: str, right: str, top: int) -> None:
    print(f"{comparison.both:,} events judged by both {left} and {right}")
    transitions = comparison.transitions
    for (before, after), count in sorted(transitions.items(), key=lambda item: (item[0][0] == item[0][1], -item[1])):
        print(f"{count:>10,}  {before} → {after}" if before != after else f"{count:>10,}  {before}, unchanged")
    print(f"{len(comparison.only_left):>10,}  only in {left}")
    print(f"{len(comparison.only_right):>10,}  only in {right}")
    most_changed = comparison.most_changed(top)
    if most_changed:
        print("most changed:")
    for pair in most_changed:
        if pair.left is not None and pair.right is not None:
            change = f"{probability_text(pair.left.probability)} → {probability_text(pair.right.probability)}"
            decisions = f"{pair.left.decision} → {pair.right.decision}"
            place = "/".join(map(str, pair.event))
            print(f"{change:>15}  {decisions:<15}  {printable(pair.right.delivery_id)}  {printable(place)}")


def _print_json(pairs: Iterator[Pair], left: str, right: str) -> None:
    for pair in pairs:
        print(to_line({**_columns(pair), "left": _side(pair.left, left), "right": _side(pair.right, right)}))


def _print_csv(pairs: Iterator[Pair], left: str, right: str) -> None:
    names = [*_columns(Pair(("", 0, 0), None, None))]
    fields = ["decision", "reason", "probability", "codec"]
    writer = csv.writer(sys.stdout)
    writer.writerow([*names, *(f"{side}_{name}" for side in ("left", "right") for name in fields)])
    for pair in pairs:
        sides = [_side(pair.left, left), _side(pair.right, right)]
        cells = [*_columns(pair).values(), *(None if side is None else side[name] for side in sides for name in fields)]
        writer.writerow([_cell(each) for each in cells])


def _columns(pair: Pair) -> dict[str, Any]:
    known = pair.left or pair.right
    return {
        "topic": pair.event[0],
        "partition": pair.event[1],
        "offset": pair.event[2],
        "delivery_id": known.delivery_id if known else None,
        "provider": known.provider if known else None,
        "difference": pair.difference,
    }


def _side(said: Said | None, name: str) -> dict[str, Any] | None:
    if said is None:
        return None
    return {
        "verdicts": name,
        "decision": said.decision,
        "reason": said.reason,
        "probability": said.probability,
        "codec": said.codec,
    }


def _cell(value: Any) -> Any:
    """Make a stranger's text safe for a spreadsheet, which would run a cell that begins like a formula."""
    if isinstance(value, str):
        text = printable(value)
        return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
    return value


def _is_unchanged(pair: Pair) -> bool:
    return pair.left is not None and pair.right is not None and pair.left.decision == pair.right.decision
