"""What staff read of a session's log names no file of anybody's."""

import pytest

from visa_sharing.loglines import harmless


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "[I SessionServer] 200 GET /user/a/w/api/contents/home/my%20plan.ipynb?type=notebook (a@::1) 2ms",
            "[I SessionServer] 200 GET /user/a/w/api/contents/… (a@::1) 2ms",
        ),
        ("404 GET /user/a/w/files/x/secret.h5 (a@::1)", "404 GET /user/a/w/files/… (a@::1)"),
        ("302 GET /user/a/w/lab/tree/x/secret.h5 (a@::1)", "302 GET /user/a/w/lab/tree/… (a@::1)"),
        ("200 GET /user/a/w/h5web/meta/?file=secret.h5 (a@::1)", "200 GET /user/a/w/h5web/… (a@::1)"),
        ("[I SessionServer] Uploading file to /tmp/my plan.txt", "[I SessionServer] Uploading file to …"),
        ("[I SessionServer] Saving file at /tmp/my plan.ipynb", "[I SessionServer] Saving file at …"),
        ("bob (viewer) may not GET /user/a/w/files/x.txt", "bob (viewer) may not GET /user/a/w/files/…"),
        ("[I SessionServer] Ready on port 8888", "[I SessionServer] Ready on port 8888"),
        ("200 GET /user/a/w/desktop/ (a@::1) 2ms", "200 GET /user/a/w/desktop/ (a@::1) 2ms"),
        (
            "/usr/bin/Xvnc: cannot open /dev/dri: token=abc",
            "/usr/bin/Xvnc: cannot open /dev/dri: token=[secret]",
        ),
    ],
)
def test_no_file_of_anybodys_is_named(line, told):
    assert harmless([line]) == [told]
