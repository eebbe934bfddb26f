"""A session that serves TLS: its key, which never leaves it, and whom it trusts to be the hub.

There is no file of the key: whoever works in the session works as its account, and could read it.
"""

from __future__ import annotations

import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jupyterhub.httpclient import JupyterHubHTTPClient


class Encryption:
    """One session's. `authority` is the certificate of who signs for hub and sessions, in PEM."""

    def __init__(self, authority: str):
        self._authority = authority
        self._key = ec.generate_private_key(ec.SECP256R1())

    def request(self) -> str:
        """What asks for a certificate, in PEM. It says no name: the hub knows whose session this is."""
        made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def serving(self, certificate: str) -> ssl.SSLContext:
        """How to serve with it; raises ValueError when it is none, or not of this session's key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        key = self._key.private_bytes(serialization.Encoding.PEM, kind, plain)
        # `ssl` reads files alone: this one is in memory, and has no name by which others could open it.
        file = os.memfd_create("certificate")
        try:
            os.write(file, key + certificate.encode())
            context.load_cert_chain(f"/proc/self/fd/{file}")
        except OSError as error:
            raise ValueError(f"The hub gave a certificate that is of no use: {error}") from error
        finally:
            os.close(file)
        return context

    def trust_hub(self) -> None:
        """Ask the hub alone, whoever else may have a certificate for its address. Needs the event loop."""
        context = ssl.create_default_context(cadata=self._authority)
        JupyterHubHTTPClient.instance().connector_options = {"ssl": context}
