"""The two paths that the relay answers by itself: whether it lives, and whether it takes new work. Pure."""

from middleware.proxy.errors import plain_response

__all__ = ["OWN_PREFIX", "own_answer"]

OWN_PREFIX = b"/-/eqwatch/"


def own_answer(method: bytes, target: bytes, *, draining: bool, close: bool) -> bytes | None:
    """The whole answer, whatever the method, or None where the path isn't the relay's."""
    path = target.partition(b"?")[0]
    if path not in {b"/-/eqwatch/live", b"/-/eqwatch/ready"}:
        return None
    ready = path.endswith(b"/live") or not draining
    status, text = (200, b"ok\n") if ready else (503, b"draining\n")
    return plain_response(status, text, b"text/plain; charset=utf-8", close=close, head_only=method == b"HEAD")
