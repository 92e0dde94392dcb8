"""The control process: everything that thinks. It may be killed, hang or restart; the relay does not depend on it."""
