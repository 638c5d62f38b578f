"""``voiceguard voiceprints adapt`` and ``history --mark``: what people say of decisions.

While a daemon runs it is the one that writes; otherwise the command does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from voiceguard.cli.options import ConfigOption, JsonOption, StateDirOption
from voiceguard.cli.output import format_llr, print_json, stderr, stdout
from voiceguard.cli.settings import configured
from voiceguard.cli.shell.values import people
from voiceguard.control.client import ControlClient
from voiceguard.decisions.wire import rounded
from voiceguard.errors import StateError, UsageError
from voiceguard.paths import state_dir as find_state_dir

if TYPE_CHECKING:
    from voiceguard.service.people.thresholds import Asked, Shown
    from voiceguard.settings import Settings


def adapt(
    name: Annotated[
        str | None,
        typer.Argument(help="The speaker; left out: everybody.", autocompletion=people),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take every mark of NAME back: as calibrated again.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Show thresholds and marks; so it does without --undo.")
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Show how far marks of right and wrong have moved thresholds, or take them back.

    `voiceguard history --mark` makes marks; docs/right-and-wrong.md says what they do.
    """
    from voiceguard.voiceprints import speaker_id  # noqa: PLC0415 - brings ciphers along

    if undo and (show or name is None):
        raise UsageError("--undo needs a NAME, and no --show", hint="`... adapt NAME --undo`")
    settings = configured(config, state_dir=state_dir)
    speaker = None if name is None else speaker_id(name)
    if undo:
        _undo(settings, str(speaker), json_lines=json_lines)
    else:
        _show(settings, speaker, json_lines=json_lines)


def mark_decision(settings: Settings, decision_id: str, verdict: str, *, json_lines: bool) -> None:
    """Says of a decision that it was right, wrong, or who it was.

    Raises:
        VoiceguardError: It could not be noted; nothing has changed.
    """
    from voiceguard.service.people.marking import mark  # noqa: PLC0415 - brings ciphers along
    from voiceguard.voiceprints import speaker_id  # noqa: PLC0415

    if verdict not in {"right", "wrong"}:
        verdict = speaker_id(verdict)
    daemon = _daemon(settings)
    if daemon is not None:
        with daemon:
            told = daemon.call("mark", decision_id=decision_id, verdict=verdict)
    else:
        told = mark(settings, decision_id, verdict, datetime.now(UTC))
    if json_lines:
        print_json(told)
        return
    for speaker, is_theirs in told["theirs"].items():
        stdout.print(f"noted: it was {'' if is_theirs else 'not '}{speaker}", markup=False)
    stderr.print("`voiceguard voiceprints adapt` shows what marks have changed.", style="dim")


def _daemon(settings: Settings) -> ControlClient | None:
    """The running one; None: there is none."""
    try:
        return ControlClient(find_state_dir(settings.state_dir))
    except StateError:
        return None


def _undo(settings: Settings, speaker: str, *, json_lines: bool) -> None:
    from voiceguard.service.people.marking import undo  # noqa: PLC0415 - brings ciphers along

    daemon = _daemon(settings)
    if daemon is not None:
        with daemon:
            num_marks = daemon.call("unmark", speaker=speaker)["num_marks"]
    else:
        num_marks = undo(settings, speaker)
    if json_lines:
        print_json({"speaker": speaker, "num_marks": num_marks})
    else:
        stdout.print(f"took back {num_marks} mark(s) of {speaker}: as calibrated", markup=False)


def _show(settings: Settings, speaker: str | None, *, json_lines: bool) -> None:
    from voiceguard.service.people.thresholds import show  # noqa: PLC0415 - brings ciphers along

    shown = [each for each in show(settings) if speaker in (None, each.speaker)]
    if speaker is not None and not shown:
        from voiceguard.service.kit import open_store  # noqa: PLC0415

        open_store(settings).load(speaker)  # says that there is nobody of that name
    if json_lines:
        for each in shown:
            print_json(_payload(each))
        return
    if not shown:
        stderr.print("Nobody is enrolled: `voiceguard enroll NAME`.")
    for each in shown:
        _print(each)


def _payload(shown: Shown) -> dict[str, Any]:
    return {
        "speaker": shown.speaker,
        "num_theirs": shown.num_theirs,
        "num_others": shown.num_others,
        "num_void": shown.num_void,
        **_threshold_payload(shown.asked),
        "fault": shown.refused,
        "rules": [
            {"rule": each.rule, "lock": each.lock, **_threshold_payload(each)}
            for each in shown.by_rules
        ],
    }


def _threshold_payload(asked: Asked | None) -> dict[str, Any]:
    return {
        "threshold": str(asked.standing) if asked else "no_marks",
        "calibrated_llr": rounded(asked.calibrated_llr, 3) if asked else None,
        "accept_llr": rounded(asked.accept_llr, 3) if asked else None,
    }


def _print(shown: Shown) -> None:
    from voiceguard.scoring.adaptation import Standing  # noqa: PLC0415

    standing = shown.asked.standing if shown.asked else Standing.NO_MARKS
    style = "bold yellow" if standing in {Standing.LOWERED, Standing.RAISED} else "bold"
    stdout.print(f"[{style}]{escape(shown.name)}[/]: {_threshold(shown.asked)}", soft_wrap=True)
    for each in shown.by_rules:
        where = f"the lock {each.lock}, rule {each.rule}" if each.lock else f"rule {each.rule}"
        stdout.print(f"  {where}: {_threshold(each)}", markup=False, soft_wrap=True)
    if shown.refused is not None:
        stdout.print(f"  [bold red]marks unusable:[/] {escape(shown.refused)}", soft_wrap=True)
    num_marks = shown.num_theirs + shown.num_others
    if num_marks:
        stdout.print(f"  {num_marks} mark(s): {shown.num_theirs} theirs, {shown.num_others} not")
        stdout.print(f"  {_WHY[standing]}", soft_wrap=True)
    if shown.num_void:
        stdout.print(
            f"  {shown.num_void} more no longer count: voiceprint, encoder or calibration has "
            "changed since",
            soft_wrap=True,
        )


def _threshold(asked: Asked | None) -> str:
    if asked is None:
        return "nobody is accepted, the encoder is not calibrated"
    needed = f"more than {format_llr(asked.accept_llr)} needed"
    if asked.accept_llr == asked.calibrated_llr:
        return f"{needed}, as calibrated"
    return f"{needed}, calibrated: {format_llr(asked.calibrated_llr)}"


_WHY = {
    "lowered": "lowered: words of theirs were missed",
    "raised": "raised: others were accepted in their place",
    "no_marks": "",
    "too_few": "to lower it takes 5 words of theirs, 2 of them missed, on 2 days",
    "disagreeing": "not lowered: too many words marked as theirs don't sound like them",
    "contradicted": "not lowered: somebody else came too near",
    "no_room": "not lowered: the calibration shows no room below",
}
