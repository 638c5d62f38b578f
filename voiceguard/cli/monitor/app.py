"""The screen: draws the model, hands keys to the daemon. Textual's loop, one reader thread."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rich.markup import escape
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Static

from voiceguard.cli.monitor import watching, words
from voiceguard.cli.monitor.model import Monitor
from voiceguard.decisions.explain import explain
from voiceguard.errors import VoiceguardError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.events import Resize

FRAMES_PER_S = 10
MIN_COLUMNS = 40

_STYLE = """
Screen { layout: vertical; }
#head { height: auto; padding: 0 1; }
#streams { height: auto; max-height: 50%; padding: 0 1; margin: 1 0; }
#decisions { height: 1fr; padding: 0 1; border-top: solid $primary; }
#why { height: auto; max-height: 30%; padding: 0 1; display: none; border-top: solid $primary; }
#losses { height: 1; padding: 0 1; }
"""


class MonitorApp(App[None]):
    """What a daemon hears, as it hears it.

    Args:
        state: The state directory of the daemon.
        monotonic_s: Time, for what is taken off the screen.
    """

    CSS = _STYLE
    TITLE = "voiceguard"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("a", "switch", "Listen or not"),
        Binding("r", "tell('reload')", "Reload"),
        Binding("w", "why", "Why"),
    ]

    def __init__(self, state: Path, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.model = Monitor()
        self._state = state
        self._monotonic_s = monotonic_s
        self._shows_why = False
        self._refusal = ""

    def compose(self) -> ComposeResult:
        """Head, streams, decisions, why, losses, keys; from top to bottom."""
        yield Static(id="head")
        yield Static(id="streams")
        yield VerticalScroll(Static(id="list"), id="decisions")
        yield Static(id="why")
        yield Static(id="losses")
        yield Footer()

    def on_mount(self) -> None:
        """Begins to watch."""
        self.run_worker(self._read, thread=True, name="control")
        self.set_interval(1 / FRAMES_PER_S, self.draw)
        self.draw()

    def on_resize(self, _event: Resize) -> None:
        """Bars are as wide as the window."""
        self.draw()

    def _read(self) -> None:
        """On the worker's thread, until the app ends."""
        for event in watching.events(self._state, lambda: not self.is_running):
            if not self.is_running:
                return
            self.call_from_thread(self.take, event)

    def take(self, event: dict[str, Any]) -> None:
        """Takes in one event; drawn with the next frame."""
        if event.get("event") == "gone":
            self.model = Monitor(state="no daemon", reason=str(event["reason"]))
        else:
            self.model.take(event, now_s=self._monotonic_s())

    def draw(self) -> None:
        """One frame."""
        columns = self.size.width - 2
        if columns < MIN_COLUMNS - 2:
            self.query_one("#head", Static).update(f"Make this window {MIN_COLUMNS} columns wide.")
            for part in ("#streams", "#list", "#losses"):
                self.query_one(part, Static).update("")
            return
        model = self.model
        model.forget_guesses(self._monotonic_s())
        refusal = f"\n[red]{self._refusal}[/]" if self._refusal else ""
        self.query_one("#head", Static).update(words.headline(model) + refusal)
        drawn = [
            line
            for name, stream in model.streams.items()
            for line in words.stream_lines(name, stream, model, columns)
        ]
        self.query_one("#streams", Static).update("\n".join(drawn))
        lines = [words.decision_line(each, model) for each in model.decisions]
        nothing = "[dim]Nobody has spoken yet.[/]" if model.encoder else ""
        self.query_one("#list", Static).update("\n".join(lines) or nothing)
        self.query_one("#losses", Static).update(words.losses(model))
        self._draw_why()

    def _draw_why(self) -> None:
        why = self.query_one("#why", Static)
        why.display = self._shows_why and bool(self.model.decisions)
        if why.display:
            why.update(escape(explain(self.model.decisions[0])))

    def action_why(self) -> None:
        """Shows or hides why the newest decision is what it is."""
        self._shows_why = not self._shows_why
        self.draw()

    def action_switch(self) -> None:
        """Disarms or arms."""
        self.action_tell("disarm" if self.model.is_armed else "arm")

    def action_tell(self, command: str) -> None:
        """Gives a command to the daemon, without waiting on the screen."""
        self.run_worker(partial(self._tell, command), thread=True, name="command")

    def _tell(self, command: str) -> None:
        refusal = ""
        try:
            watching.tell(self._state, command)
        except VoiceguardError as error:
            refusal = str(error)
        self.call_from_thread(self._note_refusal, refusal)

    def _note_refusal(self, refusal: str) -> None:
        self._refusal = escape(refusal)
