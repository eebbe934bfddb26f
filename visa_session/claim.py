"""A machine without an agent asks once whose session it is: `visa-session --claim`.

Its user data name the hub's port, the certificate's fingerprint and a random claim; that is on a small disk
of its own, which root alone reads. Once a session waits in the machine, this shows the claim and asks until
it is answered. The answer is the document that an agent would have brought. Used or refused, the claim is
good for nothing any more. Only the standard library.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import door, machine
from .handover import LARGEST, Refused

#: The disk on which whoever makes the machine leaves its user data.
DISK = Path("/dev/disk/by-label/config-2")
USER_DATA = "openstack/latest/user_data"
#: Seconds in which the session must wait here; between two tries at a hub that gives no answer; for one
#: answer, which the hub holds until there is something to say.
BOOT, AGAIN, ANSWER = 600.0, 2.0, 60.0


@dataclass(frozen=True)
class Claim:
    """Where it is redeemed, by which certificate that place is known, and the claim itself."""

    host: str
    port: int
    certificate: str
    claim: str


def read(user_data: bytes) -> Claim:
    """What user data say; raises Refused where that is no claim."""
    try:
        values = json.loads(user_data)["visa"]
        host, _, port = values["address"].rpartition(":")
        found = Claim(host.strip("[]"), int(port), values["certificate"], values["claim"])
        if len(bytes.fromhex(found.certificate)) != 32 or not found.host:
            raise ValueError("no fingerprint, or no address")
        return found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused("The machine's user data hold no claim.") from error


def from_disk(disk: Path = DISK) -> bytes:
    """The user data as they stand on the disk; raises Refused."""
    with tempfile.TemporaryDirectory(prefix="visa-", dir="/run") as folder:
        mount = ["mount", "-o", "ro,nosuid,nodev,noexec", str(disk), folder]
        done = subprocess.run(mount, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Refused(f"The machine's user data cannot be read: {done.stderr.strip()[-300:]}")
        try:
            return Path(folder, USER_DATA).read_bytes()
        except OSError as error:
            raise Refused(f"The machine's user data cannot be read: {error.strerror}.") from error
        finally:
            subprocess.run(["umount", folder], stdin=subprocess.DEVNULL)


def ask(claim: Claim, place: str, question: Mapping[str, Any]) -> tuple[int, bytes]:
    """One question to the hub, if it is the hub: status and answer. Raises OSError."""
    # By its fingerprint, and not by whoever else may have signed for that name.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    line = http.client.HTTPSConnection(claim.host, claim.port, timeout=ANSWER, context=context)
    try:
        line.connect()
        certificate = hashlib.sha256(line.sock.getpeercert(binary_form=True) or b"").hexdigest()
        if not hmac.compare_digest(certificate, claim.certificate):
            raise OSError("whoever answers there has not the hub's certificate")
        line.request("POST", place, json.dumps(question), {"Content-Type": "application/json"})
        answer = line.getresponse()
        return answer.status, answer.read(LARGEST + 1)
    except http.client.HTTPException as error:
        raise OSError(f"no answer: {error!r}") from error
    finally:
        line.close()


def redeem(claim: Claim) -> tuple[bytes, str]:
    """Ask until there is an answer: the document, and the receipt by which to say how it went.

    Raises Refused when the hub says that the claim is good for nothing.
    """
    said = ""
    while True:
        try:
            status, answer = ask(claim, "/claim", {"claim": claim.claim})
        except OSError as error:
            # The hub starts anew, or the network does: the claim stands until it says otherwise.
            status, answer, words = 0, b"", f"the hub does not answer: {error}"
        else:
            words = f"the hub answers {status}"
        if status == 200:
            values = json.loads(answer)
            return json.dumps(values["document"]).encode(), str(values["receipt"])
        if status == 204:
            continue
        if 400 <= status < 500:
            raise Refused(f"The hub refused this machine's claim ({status}).")
        if words != said:
            print(f"visa-claim: {words}", file=sys.stderr, flush=True)
            said = words
        time.sleep(AGAIN)  # nothing says when the hub is there again


def run(claim: Claim, become: Callable[[machine.Given], dict] = machine.become) -> dict:
    """From a claim to a session: what the session answered. Raises Refused."""
    # Not before somebody is there to be handed over to: the hub takes the question for that.
    machine.knock(door.PATH, BOOT).close()
    document, receipt = redeem(claim)
    try:
        answer = become(machine.read(document))
    except Refused as refused:
        answer = {"refused": str(refused)}
    for _ in range(3):
        try:
            ask(claim, "/taken", {"receipt": receipt, "answer": answer})
            break
        except OSError:
            time.sleep(AGAIN)  # as above
    return answer


def main() -> int:
    """0 when the machine is a session's; else the unit has it switched off."""
    try:
        answer = run(read(from_disk()))
    except (Refused, ValueError, KeyError) as error:
        answer = {"refused": str(error)}
    if answer.get("taken") is True:
        return 0
    print(f"visa-claim: {answer.get('refused', 'no answer of the session')}", file=sys.stderr, flush=True)
    return 1
