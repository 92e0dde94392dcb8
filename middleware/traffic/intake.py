"""From an exchange to the turn that is probed, or the reason why it is not. CPU work: for a thread, not the loop."""

from collections.abc import Callable

from middleware.records.conversation import Skipped, Turn
from middleware.records.exchange import Exchange
from middleware.records.observation import Observation
from middleware.records.place import Place
from middleware.traffic.caps import Caps
from middleware.traffic.conversation import ConversationTracker
from middleware.traffic.sampling import chosen
from middleware.traffic.selecting import Selection

__all__ = ["Intake"]


class Intake:
    """Recognises the conversation of what was selected, and decides by its id alone whether it is probed.

    remember: is told the place of each turn of a chosen conversation; called in the thread of the intake.
    """

    def __init__(
        self,
        selection: Selection,
        tracker: ConversationTracker,
        *,
        caps: Caps | None = None,
        remember: Callable[[Place], object] = lambda _: None,
    ) -> None:
        self._selection = selection
        self._tracker = tracker
        self._caps = caps or Caps()
        self._remember = remember

    def take(self, exchange: Exchange) -> Turn | Skipped:
        """The turn, where its conversation is chosen."""
        heard = self._selection.of_exchange(exchange)
        if isinstance(heard, Skipped):
            return heard
        turn, place = self._tracker.placed(heard)
        if not chosen(turn.conversation, self._selection.rate(heard.deployment), self._selection.salt):
            return Skipped(turn.deployment, "not_sampled")
        self._remember(place)
        return self._capped(turn)

    def place(self, heard: Observation) -> Turn | Skipped:
        """The turn of an exchange that was chosen before it came here."""
        turn, place = self._tracker.placed(heard)
        self._remember(place)
        return self._capped(turn)

    def _capped(self, turn: Turn) -> Turn | Skipped:
        refused = self._caps.refuses(turn)
        return turn if refused is None else Skipped(turn.deployment, refused)
