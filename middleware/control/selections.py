"""Whose conversations are wanted, as the settings say: the same rules in a pod and in the monitor."""

from middleware.settings import Settings
from middleware.traffic.caps import OptOuts
from middleware.traffic.selecting import Selection, SelectionRule

__all__ = ["selection_of"]


def selection_of(settings: Settings, salt: bytes, *, probed: bool) -> Selection:
    """probed: the model under test can be asked; without that only deployments of the anchor alone are wanted."""
    probe = settings.probe
    rules = [
        SelectionRule(
            deployment=d.name,
            rate=d.sample_rate if d.sampled and probe.enabled and (probed or d.anchor_only) else 0.0,
            models=d.match.models,
            paths=d.match.paths,
            key_ids=d.match.key_ids,
        )
        for d in settings.deployments
    ]
    return Selection(rules, salt, opt_outs=OptOuts(probe.opt_out_paths, frozenset(probe.opt_out_key_ids)))
