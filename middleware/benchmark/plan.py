"""What is watched and how: one deployment, one item set, one protocol. Made from the settings, never changed."""

import re
from dataclasses import dataclass

from middleware.benchmark.rotation import batches_per_pass
from middleware.records.benchmark import Protocol
from scorer.comparison import GateRules
from scorer.items import ItemSet

__all__ = ["Plan"]

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """model: the name that is asked. batch: items per batch. passes, min_days: of commissioning.

    batches_per_year: at the stepped-up rate. false_alarms_per_year: this detector's share of the installation's.
    margin: points that an upgrade may lose; upgrade_passes: passes after which its comparison ends. system_prompt: to
    ask under, the protocol's.
    """

    deployment: str
    item_set: ItemSet
    protocol: Protocol
    model: str
    batch: int
    rotation_seed: int
    passes: int
    batches_per_year: float
    false_alarms_per_year: float = 1.0
    margin: float = 1.0
    upgrade_passes: int = 4
    min_days: float = 0.0
    system_prompt: str = ""

    @property
    def name(self) -> str:
        """Of the saved state. The model is not part of it: versions of a model are compared, not kept apart."""
        return f"watch|{self.deployment}|{self.protocol.key}"

    @property
    def run_prefix(self) -> str:
        """How the ids of its runs begin; fit for a path of the API, whatever the model is called."""
        words = (self.deployment, self.item_set.name, self.item_set.sha256[:8], self.model)
        return "-".join(_NOT_IN_IDS.sub("_", word) for word in words)

    @property
    def item_ids(self) -> tuple[str, ...]:
        """All items, in the order of the set."""
        return tuple(item.id for item in self.item_set.items)

    @property
    def clusters(self) -> dict[str, str]:
        """Item -> dialogue that it is from."""
        return {item.id: item.cluster for item in self.item_set.items}

    @property
    def batches_per_pass(self) -> int:
        """Batches in which every item comes round once."""
        return batches_per_pass(len(self.item_set.items), self.batch)

    @property
    def rules(self) -> GateRules:
        """Of the comparison of an upgrade."""
        return GateRules(margin=self.margin, max_passes=self.upgrade_passes)
