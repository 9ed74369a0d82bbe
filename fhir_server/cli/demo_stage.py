"""How the demo looks: each step as it happens, with a progress bar on a terminal and plain lines elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Stage:
    """Prints steps, requests and what changed; a context manager that keeps the bar below them."""

    def __init__(self, total: int, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("the referral", total=total)
        self._total = total
        self.steps = 0

    def __enter__(self) -> Self:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line outside the steps."""
        self._print(escape(text))

    def step(self, who: str, what: str) -> None:
        """Begin a step of the story."""
        self.steps += 1
        self._progress.update(self._task, completed=self.steps - 1, description=escape(who))
        self._print(f"\n[bold]{self.steps:2}/{self._total}  {escape(who)}[/bold]  {escape(what)}")

    def request(self, line: str) -> None:
        """Print the request line of a call."""
        self._print(f"       [cyan]{escape(line)}[/cyan]")

    def answer(self, status: int, reason: str, milliseconds: float, *, expected: bool) -> None:
        """Print the status of a call."""
        colour = "green" if expected else "red"
        self._print(f"       [{colour}]{status} {escape(reason)}[/{colour}]  {milliseconds:.0f} ms")

    def note(self, text: str) -> None:
        """Print what changed, or what was read."""
        self._print(f"         {escape(text)}")

    def finished(self) -> None:
        """Fill the bar."""
        self._progress.update(self._task, completed=self._total)

    def _print(self, markup: str) -> None:
        self._console.print(markup)
