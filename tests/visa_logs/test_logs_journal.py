"""Records by the journal's protocol, to a socket of the test's own; what happens when nobody reads there."""

import io
import logging
import secrets
import time

import pytest

from visa_logs import journal as written
from visa_logs.journal import AWAY, PATIENCE, JournalHandler

TOKEN = secrets.token_hex(16)


@pytest.fixture
def output():
    return io.StringIO()


@pytest.fixture
def log(journal, output, monkeypatch):
    """A logger to the journal, whose text would go to `output`."""
    monkeypatch.setattr(written, "SOCKET", str(journal.path))
    log, handler = logging.getLogger("visa_test"), JournalHandler(output)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    yield log
    log.removeHandler(handler)
    handler.close()


def test_a_call_is_a_record(log, journal):
    log.warning("the container of %s is gone", "alice/tooth")
    record = journal.read()
    assert record["MESSAGE"] == "the container of alice/tooth is gone"
    assert (record["PRIORITY"], record["LOGGER"]) == ("4", "visa_test")
    assert record["CODE_FILE"] == __file__ and record["CODE_FUNC"] == "test_a_call_is_a_record"
    assert int(record["CODE_LINE"]) == test_a_call_is_a_record.__code__.co_firstlineno + 1
    assert record["SYSLOG_IDENTIFIER"]
    assert journal.all() == []


def test_levels_are_the_journal_s(log, journal):
    for level in (logging.DEBUG, logging.INFO, 25, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "word")
    assert [record["PRIORITY"] for record in journal.all()] == ["7", "6", "6", "4", "3", "2"]


def test_a_traceback_is_in_the_same_record_without_secrets(log, journal):
    try:
        try:
            raise LookupError(f"Authorization: token {TOKEN}")
        except LookupError as error:
            raise RuntimeError("cannot start") from error
    except RuntimeError:
        log.exception("alice/tooth, %s", f"token={TOKEN}")
    (record,) = journal.all()
    first, *lines = record["MESSAGE"].splitlines()
    assert first == "alice/tooth, token=[secret]"
    assert lines[0] == "Traceback (most recent call last):" and lines[-1] == "RuntimeError: cannot start"
    assert "LookupError: Authorization: [secret]" in lines
    assert f'File "{__file__}"' in record["MESSAGE"]  # paths stay
    assert TOKEN not in str(record)
    try:
        raise LookupError
    except LookupError:
        log.exception("")
    assert journal.read()["MESSAGE"].startswith("Traceback (most recent call last):\n")


def test_fields_of_its_own(log, journal):
    about = {
        "VISA_PATH": f"/hub/api/authorizations/token/{TOKEN}",
        "VISA_STATUS": 200,
        "VISA_USER": "al\nice",
    }
    log.info("asked", extra={"journal": about | {"LOGGER": "tornado.access"}})
    record = journal.read()
    assert record["VISA_PATH"] == "/hub/api/authorizations/token/[secret]"
    assert (record["VISA_STATUS"], record["VISA_USER"]) == ("200", "al\nice")
    assert (record["LOGGER"], record["MESSAGE"]) == ("tornado.access", "asked")


def test_nothing_in_a_message_is_another_field_or_unreadable(log, journal):
    log.info("one\nPRIORITY=0\x1b[31m\t\0é\udc80")
    record = journal.read()
    assert record["MESSAGE"] == "one\nPRIORITY=0\\x1b[31m\t\\x00é\\udc80" and record["PRIORITY"] == "6"


def test_what_fits_no_datagram_goes_as_a_file(log, journal):
    long = "long " * 100_000
    log.error(long)
    assert journal.read()["MESSAGE"] == long and journal.descriptors == 1


def test_a_call_with_the_wrong_number_of_words_is_shown_as_it_stands(log, journal, output, capsys):
    record = log.makeRecord("visa_test", 20, __file__, 1, "%s and %s", (f"token={TOKEN}",), None)
    next(one for one in log.handlers if isinstance(one, JournalHandler)).handle(record)
    assert journal.read()["MESSAGE"] == "'%s and %s' ('token=[secret]"
    assert output.getvalue() == "" and capsys.readouterr().err == ""


def test_without_a_journal_it_is_text(log, journal, output):
    journal.close()
    log.error("two\nlines of token=%s", TOKEN)
    assert output.getvalue() == "<3>two\n<3>lines of token=[secret]\n"


def test_a_journal_that_comes_back_has_records_again(log, journal, output):
    log.info("before")
    assert journal.read()["MESSAGE"] == "before"
    journal.close()
    journal.open()  # at the same place, as when systemd has started its socket anew
    log.info("at once")
    assert journal.read()["MESSAGE"] == "at once" and output.getvalue() == ""
    journal.close()
    log.info("away")
    journal.open()
    log.info("not looked yet")
    time.sleep(AWAY)  # for so long nothing is tried again
    log.info("after")
    assert output.getvalue() == "<6>away\n<6>not looked yet\n"
    assert [record["MESSAGE"] for record in journal.all()] == ["after"]


def test_a_journal_that_does_not_read_stops_nobody(log, journal, output):
    """Whoever logs waits once, shortly, and no line is lost."""
    began = time.monotonic()
    for number in range(1000):
        log.info("line %d %s", number, "x" * 1000)
    assert time.monotonic() - began < 2 + PATIENCE
    texts = [line[3:].split()[1] for line in output.getvalue().splitlines()]
    assert texts
    records = [record["MESSAGE"].split()[1] for record in journal.all()]
    assert sorted(map(int, records + texts)) == list(range(1000))


def test_a_closed_output_raises_nothing(log, journal, output):
    journal.close()
    output.close()
    log.info("nobody hears it")


def test_a_line_costs_little(log, journal):
    """Starts are measured: what a record costs is less than what the hub's text cost."""
    taken = 0.0
    for _ in range(5):
        began = time.process_time()
        for _ in range(5):
            log.info("200 GET /hub/api/users/alice/servers/tooth (alice@10.88.0.1) 12.34ms")
        taken += time.process_time() - began
        journal.all()
    assert taken / 25 < 0.001
