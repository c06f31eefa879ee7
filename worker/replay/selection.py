"""Which deliveries of the range a replay judges.  Pure."""

from dataclasses import dataclass

from worker.records import Delivery


@dataclass(frozen=True, slots=True)
class Selection:
    """Deliveries for which all that is set holds.

    Attributes:
        providers: from one of these.
        delivery_ids: one of these.
    """

    providers: frozenset[str] = frozenset()
    delivery_ids: frozenset[str] = frozenset()

    @property
    def takes_all(self) -> bool:
        """Whether nothing is set."""
        return not (self.providers or self.delivery_ids)

    def takes(self, delivery: Delivery) -> bool:
        """Whether this one is meant."""
        return (not self.providers or delivery.provider in self.providers) and (
            not self.delivery_ids or delivery.delivery_id in self.delivery_ids
        )
