"""The authority: what it makes, what it signs, and what it does not."""

import os
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from visa_session.encryption import Encryption
from visa_spawner.command.__main__ import main
from visa_spawner.inside.authority import LONGEST_REQUEST, Authority
from visa_spawner.inside.making import make

NAME = "alice.visa.example.org"


@pytest.fixture
def folder(tmp_path):
    make(tmp_path / "inside", [])
    return tmp_path / "inside"


@pytest.fixture
def authority(folder):
    return Authority.read(folder)


def hosts(certificate):
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def signed(authority, request, name=NAME):
    return x509.load_pem_x509_certificate(authority.sign(request, name).encode())


def request_of(key, *names, algorithm=None):
    """A request that asks for more than a session does."""
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if names:
        wanted = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        made = made.add_extension(wanted, critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(key, algorithm or hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class TestWhatIsMade:
    def test_keys_are_for_root_alone_and_certificates_for_all(self, tmp_path):
        old = os.umask(0)
        try:
            assert make(tmp_path / "new", ["10.1.2.3"]) == ["the authority", "the hub's certificate"]
        finally:
            os.umask(old)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
        assert modes == {"authority.pem": 0o644, "authority.key": 0o600, "hub.pem": 0o644, "hub.key": 0o600}

    def test_a_second_time_changes_nothing(self, folder):
        make(folder, ["10.1.2.3", "hub.example.org"])
        before = {path: path.read_bytes() for path in folder.iterdir()}
        assert make(folder, ["hub.example.org", "10.1.2.3"]) == []
        assert {path: path.read_bytes() for path in folder.iterdir()} == before

    @pytest.mark.parametrize("spoilt", ["hosts", "end", "authority", "cut off", "no key"])
    def test_the_hubs_certificate_is_made_anew_where_it_does_not_fit(
        self, folder, tmp_path, monkeypatch, spoilt
    ):
        host = ["10.1.2.3"]
        if spoilt == "end":
            monkeypatch.setattr("visa_spawner.inside.making.HUB_LIFE", timedelta(days=29))
        make(folder, host)
        monkeypatch.undo()
        if spoilt == "hosts":
            host = ["10.1.2.4"]
        elif spoilt == "authority":
            make(tmp_path / "other", host)
            (tmp_path / "other/hub.pem").replace(folder / "hub.pem")
        elif spoilt == "cut off":
            (folder / "hub.pem").write_text((folder / "hub.pem").read_text()[:100])
        elif spoilt == "no key":
            (folder / "hub.key").unlink()
        authority = (folder / "authority.pem").read_text()
        assert make(folder, host) == ["the hub's certificate"]
        found = x509.load_pem_x509_certificate((folder / "hub.pem").read_bytes())
        assert [str(name.value) for name in hosts(found)] == host
        assert (folder / "authority.pem").read_text() == authority

    def test_one_of_an_authority_that_is_still_trusted_is_kept(self, folder, tmp_path):
        """Sessions that were started when it was the only one believe no other."""
        make(folder, ["10.1.2.3"])
        old, hub = (folder / "authority.pem").read_text(), (folder / "hub.pem").read_text()
        make(tmp_path / "new", [])
        for name in ("authority.pem", "authority.key"):
            (tmp_path / "new" / name).replace(folder / name)
        alone = (folder / "authority.pem").read_text()
        (folder / "authority.pem").write_text(alone + old)
        assert make(folder, ["10.1.2.3"]) == []
        assert (folder / "hub.pem").read_text() == hub
        (folder / "authority.pem").write_text(alone)  # the last of those sessions has ended
        assert make(folder, ["10.1.2.3"]) == ["the hub's certificate"]

    def test_an_authority_without_its_key_is_said_and_never_replaced(self, folder, tmp_path, capsys):
        make(tmp_path / "other", [])
        (tmp_path / "other/authority.key").replace(folder / "authority.key")
        before = (folder / "authority.pem").read_text()
        assert main(["inside", "make", str(folder), "10.1.2.3"]) == 1
        assert "authority.key is not the key of" in capsys.readouterr().err
        assert (folder / "authority.pem").read_text() == before

    def test_the_command_says_what_it_made_and_then_nothing(self, tmp_path, capsys):
        command = ["inside", "make", str(tmp_path / "new"), "10.1.2.3"]
        assert main(command) == 0
        assert capsys.readouterr().out.count(": made ") == 2
        assert main(command) == 0
        assert capsys.readouterr().out == ""


class TestReading:
    def test_one_that_is_over_is_refused(self, folder, monkeypatch):
        class Later(datetime):
            @classmethod
            def now(cls, zone=None):
                return datetime.now(zone) + timedelta(days=3651)

        monkeypatch.setattr("visa_spawner.inside.authority.datetime", Later)
        with pytest.raises(ValueError, match="ended on"):
            Authority.read(folder)

    def test_one_that_comes_before_another_signs_and_both_are_trusted(self, folder, tmp_path):
        make(tmp_path / "old", [])
        with (folder / "authority.pem").open("a") as file:
            file.write((tmp_path / "old/authority.pem").read_text())
        both = Authority.read(folder)
        assert both.pem.count("BEGIN CERTIFICATE") == 2
        assert len(both.trusting().get_ca_certs()) == 2
        signed(both, Encryption(both.pem).request()).verify_directly_issued_by(both.certificate)


class TestSigning:
    def test_a_session_gets_one_for_its_persons_name_alone(self, authority):
        made = signed(authority, Encryption(authority.pem).request())
        assert hosts(made).get_values_for_type(x509.DNSName) == [NAME]
        assert len(hosts(made)) == 1
        assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        made.verify_directly_issued_by(authority.certificate)
        assert made.not_valid_after_utc - datetime.now(UTC) > timedelta(days=366), "the longest session"

    def test_what_a_request_asks_for_beside_is_left_out(self, authority):
        asked = request_of(ec.generate_private_key(ec.SECP256R1()), "bob.visa.example.org", NAME)
        made = signed(authority, asked)
        assert hosts(made).get_values_for_type(x509.DNSName) == [NAME]
        assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca

    def test_it_is_good_for_an_address_where_people_have_no_names(self, authority):
        made = signed(authority, Encryption(authority.pem).request(), "127.0.0.1")
        assert [str(name.value) for name in hosts(made)] == ["127.0.0.1"]

    def test_what_is_no_request_is_refused(self, authority, folder):
        good = request_of(ec.generate_private_key(ec.SECP256R1()))
        lines = good.splitlines()
        forged = "\n".join([*lines[:-2], lines[-2][::-1], lines[-1]])
        begun, other = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA", (folder / "authority.pem").read_text()
        long = good + " " * LONGEST_REQUEST
        for bad in ("", "x", "\0" * 100, begun, good[:-40], forged, other, long):
            with pytest.raises(ValueError, match="it "):
                authority.sign(bad, NAME)

    @pytest.mark.parametrize("curve", [ec.SECP384R1(), None])
    def test_another_kind_of_key_is_refused(self, authority, curve):
        key = ec.generate_private_key(curve) if curve else rsa.generate_private_key(65537, 2048)
        with pytest.raises(ValueError, match="P-256"):
            authority.sign(request_of(key), NAME)
