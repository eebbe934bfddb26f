"""The authority for the way between proxy, hub and sessions.

A session makes its key itself, which leaves it never, and asks for a certificate when it says that it
listens. What it gets is for the name under which its owner's sessions are reached: the proxy looks for that
name, so that no session of another person's can stand in for it, wherever it runs.
"""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: The files of its folder.
CERTIFICATE, KEY = "authority.pem", "authority.key"
#: Longer than any session may live; and how late a session's clock may be.
LIFE, LATE = timedelta(days=397), timedelta(hours=1)
#: Bytes that a request for a certificate may have: four times what a session's has.
LONGEST_REQUEST = 2048


@dataclass(frozen=True)
class Authority:
    """One that can sign. `pem` is what whoever checks a certificate of it is given."""

    pem: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def read(cls, folder: Path) -> Authority:
        """The one that stands in a folder.

        The first certificate of its file signs; others are only trusted, as the one before it. Raises
        OSError, and ValueError where it is none, or is over.
        """
        pem = (folder / CERTIFICATE).read_text()
        found = x509.load_pem_x509_certificates(pem.encode())[0]
        key = serialization.load_pem_private_key((folder / KEY).read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != found.public_key():
            raise ValueError(f"{folder / KEY} is not the key of {folder / CERTIFICATE}")
        if found.not_valid_after_utc <= datetime.now(UTC):
            raise ValueError(f"{folder / CERTIFICATE} ended on {found.not_valid_after_utc:%d %b %Y}")
        return cls(pem, found, key)

    def sign(self, request: str, name: str) -> str:
        """The certificate that a session asks for, in PEM, good for `name` alone.

        Whatever else the request may say is left out. Raises ValueError when it is no request, or one by
        somebody without the key.
        """
        if len(request) > LONGEST_REQUEST:
            raise ValueError(f"it has more than {LONGEST_REQUEST} bytes")
        try:
            asked = x509.load_pem_x509_csr(request.encode())
            key, valid = asked.public_key(), asked.is_signature_valid
        except Exception as error:  # the parser's own kinds are many, and change
            raise ValueError("it is no request for a certificate") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("its key is not of the curve P-256")
        if not valid:
            raise ValueError("it was not made with its own key")
        made = leaf(self.certificate, key, "VISA session", [name], LIFE)
        return self.signed(made)

    def signed(self, made: x509.CertificateBuilder) -> str:
        """A certificate that was made here, signed; PEM."""
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def trusting(self) -> ssl.SSLContext:
        """For who asks a session without knowing its name: whether it is one of this site's.

        The hub asks so whether a session answers, which tells it nothing; the proxy looks at names.
        """
        context = ssl.create_default_context(cadata=self.pem)
        context.check_hostname = False
        return context


def leaf(
    issuer: x509.Certificate, key: ec.EllipticCurvePublicKey, subject: str, hosts: list[str], life: timedelta
) -> x509.CertificateBuilder:
    """A server's certificate for these names and addresses, not signed yet."""
    now = datetime.now(UTC)
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LATE)
        .not_valid_after(min(now + life, issuer.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName([_host(one) for one in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
    )


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
