"""Makes what stands in the authority's folder, where it lacks: authority, and the hub's own certificate."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .authority import CERTIFICATE, KEY, LATE, Authority, leaf

#: The hub's own, for whoever answers sessions in its place.
HUB_CERTIFICATE, HUB_KEY = "hub.pem", "hub.key"
#: How long an authority holds, and the hub's certificate; how long before its end that one is made anew.
AUTHORITY_LIFE, HUB_LIFE, EARLY = timedelta(days=3650), timedelta(days=1825), timedelta(days=30)


def make(folder: Path, hosts: list[str]) -> list[str]:
    """Make what lacks; gives what was made, in words, none where all was there.

    The hub's certificate is made anew where it ends within a month or is for other names or addresses than
    `hosts`. An authority that is there is never replaced. Raises OSError, and ValueError where what is there
    makes no sense.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    made = []
    if not (folder / CERTIFICATE).exists():
        _make_authority(folder)
        made.append("the authority")
    authority = Authority.read(folder)
    if hosts and not _holds(folder, authority, hosts):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = leaf(authority.certificate, key.public_key(), "VISA hub", hosts, HUB_LIFE)
        _write(folder / HUB_KEY, _pem(key), 0o600)
        _write(folder / HUB_CERTIFICATE, authority.signed(certificate), 0o644)
        made.append("the hub's certificate")
    return made


def _make_authority(folder: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "VISA inside")])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LATE)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    # The key first: a certificate without it would be taken for a whole authority.
    _write(folder / KEY, _pem(key), 0o600)
    _write(folder / CERTIFICATE, made.public_bytes(serialization.Encoding.PEM).decode(), 0o644)


def _holds(folder: Path, authority: Authority, hosts: list[str]) -> bool:
    """Whether the hub's certificate is there, for these and no others, for long, and believed.

    Of the one before it will do as long as that is trusted: sessions that were started then know no other.
    """
    try:
        found = x509.load_pem_x509_certificate((folder / HUB_CERTIFICATE).read_bytes())
        if not any(_signed(one, found) for one in x509.load_pem_x509_certificates(authority.pem.encode())):
            return False
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if not (folder / HUB_KEY).exists():
            return False
    except Exception:  # not there, cut off, of another authority: it is made anew
        return False
    return {str(name.value) for name in names} == set(hosts) and found.not_valid_after_utc > datetime.now(
        UTC
    ) + EARLY


def _signed(issuer: x509.Certificate, found: x509.Certificate) -> bool:
    try:
        found.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    plain = serialization.NoEncryption()
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, plain).decode()


def _write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all, and never readable by more than it is to be."""
    part = path.with_name(f".{path.name}.new")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
