import pytest
from facility import Facility, eventually

from demo.login import Page, browser
from demo.node import install


@pytest.fixture(scope="session")
def facility(tmp_path_factory):
    """Provider and hub; the hub is started first, and asked to log in while there is no provider."""
    install()
    facility = Facility(tmp_path_factory.mktemp("facility"))
    try:
        facility.hub.start()
        facility.without_provider = browser().get(f"{facility.site}/hub/oauth_login")
        facility.provider.add("ada", 20001, experiments=["MX-1001", "ES-22"], roles=["scientist"])
        facility.provider.start()
        begin = f"{facility.site}/hub/oauth_login"
        assert eventually(lambda: browser(follow_redirects=False).get(begin).is_redirect)
        yield facility
        assert not facility.leaked()
    finally:
        facility.hub.stop()
        facility.provider.stop()


@pytest.fixture
def words():
    """The text a person reads on a page."""
    return lambda answer: Page(answer.text).text
