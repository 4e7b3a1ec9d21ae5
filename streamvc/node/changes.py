"""What a new configuration changes. Pure."""

from dataclasses import dataclass

from streamvc.node.settings import NodeConfig

NOW = ("cameras", "secrets")  # keys that take effect at once


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of cameras, in the order of the configuration, and keys of the node that take effect when it is started again.

    Those that are `retuned` have other thresholds, and are not changed otherwise.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    retuned: tuple[str, ...]
    later: tuple[str, ...]

    def __str__(self) -> str:
        done = {"added": self.added, "removed": self.removed, "changed": self.changed, "changed the thresholds of": self.retuned}
        words = [f"{word} {', '.join(names)}" for word, names in done.items() if names]
        if self.later:
            words.append(f"{', '.join(self.later)} will change when the node is started again")
        return "; ".join(words) or "nothing has changed"


def compare(before: NodeConfig, after: NodeConfig) -> Changes:
    """Find out what is different."""
    old = {camera.name: camera for camera in before.cameras}
    new = {camera.name: camera for camera in after.cameras}
    changed = [name for name in new if name in old and new[name] != old[name]]
    return Changes(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=tuple(name for name in changed if new[name].untuned != old[name].untuned),
        retuned=tuple(name for name in changed if new[name].untuned == old[name].untuned),
        later=tuple(key for key in NodeConfig.model_fields if key not in NOW and getattr(before, key) != getattr(after, key)),
    )
