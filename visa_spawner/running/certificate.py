"""A certificate, as a server shows it or as it lies in a file: how long it holds, and for which names."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509


@dataclass(frozen=True)
class Certificate:
    """Times in UTC. `names` are those of hosts, with wildcards. `distrust` says why this machine does not
    believe it, "" where it does or was not asked."""

    begins: datetime
    ends: datetime
    names: tuple[str, ...]
    distrust: str = ""

    def covers(self, host: str) -> bool:
        """Whether it holds for a host: by its name, or by the wildcard of all beside it."""
        host = host.lower()
        return any(name in (host, f"*.{host.partition('.')[2]}") for name in map(str.lower, self.names))


def read(path: Path) -> Certificate:
    """The first of a PEM file; raises OSError, and ValueError where there is none."""
    return _described(x509.load_pem_x509_certificate(path.read_bytes()))


def served(host: str, port: int, seconds: float) -> Certificate:
    """What a server shows to who asks for `host`; blocks, up to twice `seconds`. Raises OSError."""
    untold = ssl.create_default_context()
    untold.check_hostname, untold.verify_mode = False, ssl.CERT_NONE
    with _connected(untold, host, port, seconds) as connection:
        found = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))
    strict = ssl.create_default_context()
    # Names are compared by `covers`, so that a wrong name and a wrong authority are told apart.
    strict.check_hostname = False
    try:
        with _connected(strict, host, port, seconds):
            return _described(found)
    except ssl.SSLCertVerificationError as error:
        return _described(found, error.verify_message)


def _connected(context: ssl.SSLContext, host: str, port: int, seconds: float) -> ssl.SSLSocket:
    plain = socket.create_connection((host, port), seconds)
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _described(found: x509.Certificate, distrust: str = "") -> Certificate:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = tuple(names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        hosts = ()
    return Certificate(found.not_valid_before_utc, found.not_valid_after_utc, hosts, distrust)
